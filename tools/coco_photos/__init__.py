"""What ``tools/make_coco_photos.py`` is made of, and its list of images."""
