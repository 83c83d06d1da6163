# Fine-tuning in 4 epochs, on CPUs: as runtimes/cpu.py, in one file because only two levels of bases
# lie below a config.
_base_ = ['./adamw_4e.py', '../default_runtime.py']

custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]
