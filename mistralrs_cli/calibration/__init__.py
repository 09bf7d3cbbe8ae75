"""How much each input of each layer counts, measured on a user's own texts and media, so that quantizing errs less.

``sources`` are the files, ``prompts`` what the model runs of them, ``observe`` how its layers are watched, ``sums``
what was seen, ``progress`` what a killed run leaves to the next, ``divergence`` the comparison on what was held out,
``calibrate`` the way from one to the other.
"""
