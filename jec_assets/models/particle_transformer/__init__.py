"""ParT, the Particle Transformer: attention among a jet's particles, biased by what each pair of them looks like.

H. Qu, C. Li, S. Qian, "Particle Transformer for jet tagging", arXiv:2202.03772. Belongs here: its network, from the
kinematics of pairs (`pair_features.py`) over the batch as dense blocks (`jet_blocks.py`) to the whole (`network.py`).
"""
