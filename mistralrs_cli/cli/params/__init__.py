"""The options of all commands, a module for each panel of the help. An option is written once, in its panel's class."""
