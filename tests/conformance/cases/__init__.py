"""The cases, by what they are about. Each comes from what users of gateways reported."""
