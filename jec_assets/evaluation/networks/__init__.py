"""The networks themselves: how they were found, how large they are, what they cost.

Belongs here: numbers about trials and networks. Does not belong here: what networks make of jets.
"""
