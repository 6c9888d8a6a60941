//! The flow of a packet, as a key.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::{Packet, Protocol};

/// The addresses, ports and protocol that the packets of a flow have in common, in one direction.
///
/// It is a key for maps and sets. [`reversed`](Self::reversed) is the key of the other direction.
///
/// ```
/// use tunctl_packet::{Layer, Packet, udp_packet};
///
/// let packet = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, b"query")?;
/// let key = Packet::parse(Layer::Tun, &packet)?.flow_key().ok_or("no flow")?;
/// assert_eq!(key.to_string(), "10.0.0.1:4000 > 10.0.0.2:53 UDP");
/// assert_eq!(key.reversed().to_string(), "10.0.0.2:53 > 10.0.0.1:4000 UDP");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// The sender's address.
    pub source: IpAddr,
    /// The receiver's address.
    pub destination: IpAddr,
    /// The sender's port and the receiver's, of TCP, UDP and SCTP.
    pub ports: Option<(u16, u16)>,
    /// The number of the protocol behind the IP headers (the registry is IANA's "Protocol Numbers").
    pub number: u8,
}

impl FlowKey {
    /// The key of the other direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        FlowKey {
            source: self.destination,
            destination: self.source,
            ports: self.ports.map(|(source, destination)| (destination, source)),
            number: self.number,
        }
    }

    /// The protocol that the number means.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        Protocol::of_ip(self.number, self.source.is_ipv4())
    }
}

/// `10.0.0.1:4000 > 10.0.0.2:53 UDP`, `fd77::1 > fd77::2 ICMPv6`.
impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol();
        match self.ports {
            Some((source, destination)) => {
                let [from, to] =
                    [(self.source, source), (self.destination, destination)].map(SocketAddr::from);
                write!(f, "{from} > {to} {protocol}")
            }
            None => write!(f, "{} > {} {protocol}", self.source, self.destination),
        }
    }
}

impl Packet<'_> {
    /// The key of the packet's flow; `None` if it is not an IP packet, or its headers are cut off before the
    /// ports.
    ///
    /// All fragments of a datagram have the same key. It has no ports, because only the first fragment has
    /// them ([`source_port`](Self::source_port)).
    #[must_use]
    pub fn flow_key(&self) -> Option<FlowKey> {
        let ip = self.ip()?;
        let has_ports = self.protocol().has_ports() && !self.is_fragment();
        let ports = if has_ports { Some(self.ports()?) } else { None };
        ip.complete.then_some(FlowKey {
            source: ip.source,
            destination: ip.destination,
            ports,
            number: ip.number.0,
        })
    }
}
