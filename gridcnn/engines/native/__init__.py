"""The native engine: code that is made for one network and for this machine's processor."""
