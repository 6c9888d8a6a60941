//! `tunctl up` and `tunctl down`.

use std::net::IpAddr;

use clap::Args;
use tunctl::{Interface, InterfaceName, Native, State, TunBackend};

use super::arguments::{AddressArgument, existing};
use super::{Failure, Outcome};

/// Bring an interface up, and optionally add an address
#[derive(Args)]
pub(super) struct Up {
    /// The interface
    #[arg(value_parser = existing())]
    name: InterfaceName,
    /// An address to add, such as 10.1.1.1/24 or fd77::1; without a prefix length, IPv4 takes that of the
    /// address class (10.1.1.1: 8), and IPv6 takes 64
    address: Option<AddressArgument>,
    /// The other end of a point-to-point link
    #[arg(long, value_name = "IP", requires = "address")]
    peer: Option<IpAddr>,
}

impl Up {
    pub(super) fn run(self, backend: &Native) -> Outcome {
        let address = match (self.address, self.peer) {
            (Some(address), Some(peer)) => {
                Some(address.towards(peer).map_err(|invalid| Failure::Usage(invalid.to_string()))?)
            }
            (address, _) => address.map(|argument| argument.address),
        };
        let interface = backend.interface(&self.name)?;
        match address {
            Some(address) => interface.up(address)?,
            None => interface.set_state(State::Up)?,
        }
        Ok(())
    }
}

/// Take an interface down (Linux then removes its IPv6 addresses and keeps its IPv4 addresses)
#[derive(Args)]
pub(super) struct Down {
    /// The interface
    #[arg(value_parser = existing())]
    name: InterfaceName,
}

impl Down {
    pub(super) fn run(self, backend: &Native) -> Outcome {
        Ok(backend.interface(&self.name)?.down()?)
    }
}
