"""Authors: questions for the devices that speak for one, and checks of copies that a group's server sends."""
