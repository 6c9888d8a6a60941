//! `tunctl set`.

use clap::Args;
use tunctl::{Gid, Interface, InterfaceAddress, InterfaceName, MacAddress, Mtu, TunBackend, TunDevice, Uid};

use super::Outcome;
use super::arguments::{group, user};

/// Change properties of an interface
///
/// Owner, group and persistence are changed on an open device: so no other program may hold the interface's only queue,
/// and what a former one left set, such as offloads or filters, is reset.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Set {
    /// The interface
    name: InterfaceName,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// Give it another name; what else is changed is changed under the new one
    #[arg(long = "name", value_name = "NEW")]
    renamed: Option<InterfaceName>,
    /// The most bytes that a packet may have
    #[arg(long, value_name = "BYTES")]
    mtu: Option<Mtu>,
    /// The MAC address of a tap
    #[arg(long, value_name = "MAC")]
    mac: Option<MacAddress>,
    /// Add an address, as 10.1.1.1/24 or fd77::1/64
    #[arg(long = "add", value_name = "CIDR")]
    add: Vec<InterfaceAddress>,
    /// Remove an address; one with a peer is written as show has it: "10.0.0.1 peer 10.0.0.2/32"
    #[arg(long = "remove", value_name = "CIDR")]
    remove: Vec<InterfaceAddress>,
    /// Make this the only address, or with several such options these (IPv6 link-local ones stay)
    #[arg(long = "replace", value_name = "CIDR", conflicts_with_all = ["add", "remove"])]
    replace: Vec<InterfaceAddress>,
    /// The user who may open it without privilege, by name or number
    #[arg(long, value_name = "USER", value_parser = user)]
    owner: Option<Uid>,
    /// The group whose members may open it without privilege, by name or number
    #[arg(long, value_name = "GROUP", value_parser = group)]
    group: Option<Gid>,
    /// Whether it stays when no program has it open; one that doesn't, and that nobody has open, is deleted by this
    #[arg(long, value_name = "on|off", value_parser = on_or_off)]
    persist: Option<bool>,
}

fn on_or_off(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off"),
    }
}

impl Set {
    pub(super) fn run(self) -> Outcome {
        let Changes { renamed, mtu, mac, add, remove, replace, owner, group, persist } = self.changes;
        let interface = tunctl::native().interface(&self.name)?;
        if let Some(new) = renamed {
            interface.rename(&new)?;
        }
        if let Some(mtu) = mtu {
            interface.set_mtu(mtu)?;
        }
        if let Some(mac) = mac {
            interface.set_mac(mac)?;
        }
        if !replace.is_empty() {
            interface.replace_addresses(&replace)?;
        }
        for address in add {
            interface.add_address(address)?;
        }
        for address in remove {
            interface.remove_address(address)?;
        }
        if owner.is_none() && group.is_none() && persist.is_none() {
            return Ok(());
        }
        let device = tunctl::native().open(&interface.info()?.options()?)?;
        if let Some(owner) = owner {
            device.set_owner(owner)?;
        }
        if let Some(group) = group {
            device.set_group(group)?;
        }
        if let Some(persist) = persist {
            device.set_persist(persist)?;
        }
        Ok(())
    }
}
