# Fine-tuning in 8 epochs, on CPUs: as runtimes/cpu.py, in one file because only two levels of bases
# lie below a config.
_base_ = ['./adamw_8e.py', '../default_runtime.py']

custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]
