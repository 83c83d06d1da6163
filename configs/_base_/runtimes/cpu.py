# Minutes on two CPU cores.
_base_ = '../default_runtime.py'

custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]
