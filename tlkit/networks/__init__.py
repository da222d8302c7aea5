"""Any timm model as a row of modules: transfer some, freeze some, put a head on it."""
