# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: what the host asks of classes that derive from its own.

Such a class has a host class (pybridge/_hostderive.py), whose attributes ask this one for what
it defines; and it is told of what the host sets there.
"""

classes = None  # support.py puts hostclasses.py here


def host_class_changed(cls, name, *value):
    """The host has set an attribute of a class that derives from one of the guest's, or of
    that; without a value it has deleted it."""
    if name in classes.NOT_FORWARDED or name.startswith("_abc_"):
        return
    if not value:
        if name in cls.__dict__:
            if cls in classes.derived:
                classes.keep(cls, name)
            type.__delattr__(cls, name)
    elif cls in classes.derived:
        classes.set_own(cls, name, *value)
    elif name not in cls.__dict__:  # what is there asks the host
        type.__setattr__(cls, name, classes.Inherited(cls, name))


def host_class_restored(cls, name):
    """The host's class has again what calls what the class defined first."""
    if name in classes.replaced.get(cls, ()):
        type.__setattr__(cls, name, classes.replaced[cls][name])


def host_bind(box, carrier):
    """Tie a class of the guest to the host class made for it."""
    type.__setattr__(box[0], classes._HOST, carrier)


def host_invoke(cls, self, name, *args, **kwargs):
    """Call what a class of the guest defines, on an object of it."""
    return _own(cls, name).__get__(self, type(self))(*args, **kwargs)


def host_attribute(cls, self, name):
    """Read what a class of the guest defines."""
    found = _own(cls, name)
    get = getattr(type(found), "__get__", None)
    return found if get is None else get(found, self, cls if self is None else type(self))


def host_attribute_set(cls, self, name, value):
    """Set what a class of the guest defines with a descriptor."""
    found = _own(cls, name)
    type(found).__set__(found, self, value)


def host_attribute_delete(cls, self, name):
    """Delete it."""
    found = _own(cls, name)
    type(found).__delete__(found, self)


def _own(cls, name):
    if name in classes.replaced.get(cls, ()):
        return classes.replaced[cls][name]
    for base in cls.__mro__:
        if name in base.__dict__ and (base is cls or not isinstance(base, classes.HostType)):
            return base.__dict__[name]
    raise AttributeError(name)
