# DifFeed of the paper's table 5, fine-tuned on 10 % of ImageNet's labels: 66.6 % top-1.
_base_ = './attention_diffeed_in1k-1pct.py'
train_dataloader = dict(dataset=dict(ann_file='meta/train_10percent.txt'))
