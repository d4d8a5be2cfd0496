# FGVC-Aircraft at 224x224: 100 variants (paper, table 7).
_base_ = './images_224.py'
dataset = dict(type='mmdiff.FGVCAircraft', data_root='data/fgvc-aircraft-2013b')
train_dataloader = dict(dataset=dict(split='trainval', **dataset))
val_dataloader = dict(dataset=dict(split='test', **dataset))
test_dataloader = val_dataloader
