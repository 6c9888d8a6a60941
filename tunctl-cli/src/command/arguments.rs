//! Arguments that need more than their type's own parser.

use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use nix::unistd::{Group, User};
use tunctl::{Gid, InterfaceAddress, InterfaceIndex, InterfaceName, InvalidAddress, Uid};

/// An address, and whether the user specified its prefix length.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddressArgument {
    pub(super) address: InterfaceAddress,
    prefix_given: bool,
}

impl AddressArgument {
    /// The same address as this end of a point-to-point link.
    pub(super) fn towards(self, peer: std::net::IpAddr) -> Result<InterfaceAddress, InvalidAddress> {
        let ends = InterfaceAddress::point_to_point(self.address.address(), peer)?;
        if self.prefix_given { ends.with_prefix_length(self.address.prefix_length()) } else { Ok(ends) }
    }
}

impl FromStr for AddressArgument {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        Ok(Self { address: text.parse()?, prefix_given: text.contains('/') })
    }
}

/// Parses the name of an interface that exists: as it is, whatever bytes it has, or as this program prints
/// it.
pub(super) fn existing() -> impl TypedValueParser<Value = InterfaceName> {
    OsStringValueParser::new().try_map(|text| match text.to_str() {
        Some(text) => InterfaceName::from_displayed(text),
        None => InterfaceName::from_kernel(text.as_bytes()),
    })
}

/// A builder, with a value if there is one.
pub(super) fn with<B, T>(builder: B, value: Option<T>, set: impl FnOnce(B, T) -> B) -> B {
    match value {
        Some(value) => set(builder, value),
        None => builder,
    }
}

/// A user, by number or by name.
pub(super) fn user(text: &str) -> Result<Uid, String> {
    let number = match text.parse() {
        Ok(number) => number,
        Err(_) => match User::from_name(text) {
            Ok(Some(user)) => user.uid.as_raw(),
            Ok(None) => return Err("no user of this system has that name".into()),
            Err(errno) => return Err(format!("the user could not be looked up: {errno}")),
        },
    };
    Uid::new(number).ok_or_else(|| "no user can have that number".into())
}

/// A group, by number or by name.
pub(super) fn group(text: &str) -> Result<Gid, String> {
    let number = match text.parse() {
        Ok(number) => number,
        Err(_) => match Group::from_name(text) {
            Ok(Some(group)) => group.gid.as_raw(),
            Ok(None) => return Err("no group of this system has that name".into()),
            Err(errno) => return Err(format!("the group could not be looked up: {errno}")),
        },
    };
    Gid::new(number).ok_or_else(|| "no group can have that number".into())
}

/// The name of a user, if this system knows it.
pub(super) fn user_name(uid: u32) -> Option<String> {
    Some(User::from_uid(uid.into()).ok()??.name)
}

/// The name of a group, if this system knows it.
pub(super) fn group_name(gid: u32) -> Option<String> {
    Some(Group::from_gid(gid.into()).ok()??.name)
}

/// The index of an interface.
pub(super) fn index(text: &str) -> Result<InterfaceIndex, &'static str> {
    text.parse().ok().and_then(InterfaceIndex::new).ok_or("expected a number from 1 on")
}

/// The value of a switch.
pub(super) fn on_or_off(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_keeps_the_prefix_that_was_given() {
        let towards = |text: &str| {
            let argument: AddressArgument = text.parse().unwrap();
            argument.towards([10, 0, 0, 2].into()).unwrap().to_string()
        };
        assert_eq!(towards("10.0.0.1"), "10.0.0.1 peer 10.0.0.2/32");
        assert_eq!(towards("10.0.0.1/30"), "10.0.0.1 peer 10.0.0.2/30");
    }

    #[test]
    fn users_and_groups_go_by_number_or_name() {
        assert_eq!(user("4001"), Ok(Uid::new(4001).unwrap()));
        assert_eq!(user("root"), Ok(Uid::new(0).unwrap()));
        assert!(user("no such user").is_err());
        assert!(user("4294967295").is_err());
        assert_eq!(group("root"), Ok(Gid::new(0).unwrap()));
        assert!(group("-1").is_err());
    }
}
