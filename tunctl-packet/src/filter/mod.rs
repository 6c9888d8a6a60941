//! Filter expressions.

mod compile;
mod condition;
mod error;
mod parse;
mod primitive;
mod qualifiers;
mod value;
mod word;

use alloc::format;

use condition::Condition;
pub use error::FilterError;

use crate::Layer;
use crate::bpf::{MAX_INSTRUCTIONS, Program};

/// A filter expression, as tcpdump takes it: `tcp port 443 and not host 10.0.0.1`.
///
/// The expression is a tree of conditions. [`matches`](Self::matches) evaluates it on a packet, and
/// [`program`](Self::program) is the same as a program of classic BPF, for a kernel.
///
/// ```
/// use tunctl_packet::{Filter, Layer, udp_packet};
///
/// let filter = Filter::parse(Layer::Tun, "udp port 53 or icmp6")?;
/// let query = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, b"query")?;
/// assert!(filter.matches(&query));
/// assert_ne!(filter.program().run(&query), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The language
///
/// It is the part of libpcap's that concerns addresses, ports and protocols. An expression that is accepted
/// here means what it means there.
///
/// | expression | packets |
/// |---|---|
/// | `ip`, `ip6`, `arp`, `rarp` | of this type |
/// | `tcp`, `udp`, `sctp`, `icmp`, `icmp6`, `igmp`, `pim`, `vrrp`, `ah`, `esp` | of this protocol in IP |
/// | `host 10.0.0.1`, `src host fd77::1` | from or to this address, or from it; in ARP, too |
/// | `net 10.0.0.0/8`, `dst net fd77::/16` | from or to this network, or to it |
/// | `net 192.168`, `net 10.0.0.0 mask 255.0.0.0` | the same, in other forms |
/// | `port 53`, `tcp dst port 443` | from or to this port of TCP, UDP or SCTP |
/// | `portrange 6000-6010` | from or to one of these ports |
/// | `ip proto 47`, `ip6 proto gre`, `proto 47` | of this protocol, by number or name |
/// | `ether proto 0x88cc` | of this type |
/// | `ether host 02:00:00:00:00:01` | from or to this MAC address; on a tap |
/// | `vlan`, `vlan 5 and udp port 53` | with a VLAN tag, or that of VLAN 5; what follows is behind the tag |
/// | `ip multicast`, `ip6 multicast`, `ether multicast`, `ether broadcast` | to groups |
/// | `less 128`, `greater 1000` | of at most, of at least so many bytes |
///
/// In front of `host`, `net`, `port` and `portrange` may stand a protocol, then `src`, `dst`, `src or dst` or
/// `src and dst`. Without `host`, a direction is of a host: `src 10.0.0.1`. The empty expression matches
/// every packet.
///
/// Expressions are joined by `and` (`&&`), `or` (`||`) and `not` (`!`), and grouped by parentheses. A value
/// without a word in front has the words of the value before it: `port 80 or 443`, `net (10 or 172.16/12)`.
///
/// # What may surprise
///
/// As with libpcap:
///
/// - `and` and `or` bind equally, from left to right: `arp or udp and port 53` is `(arp or udp) and port 53`.
///   `not` binds closer: `not udp and port 53` is `(not udp) and port 53`.
/// - A VLAN tag hides what is behind it from every word but `ether host` and its kin. Behind `vlan`, the
///   whole rest of the text is about what follows the tag, whatever joins them, and even if `vlan` is negated
///   or in parentheses that end: `vlan or ip` looks for IPv4 behind a tag alone. So `ip or (vlan and ip)` is
///   IPv4 with a tag or without, and `vlan 5 and vlan 6` is about two tags.
/// - Of a fragmented IPv4 packet, only the first fragment has ports.
/// - Extension headers of IPv6 hide what is behind them, except that `tcp` and its kin look behind one
///   fragment header. `port` does not.
/// - `net 10.0.0.0`, without a length, is the one address.
/// - A packet that ends before the expression is decided does not match, not even `not port 53`. A condition
///   that decides nothing is not looked at.
///
/// # What is left out
///
/// Names of hosts, networks and services, because nothing is resolved: numbers stand for them. Arithmetic
/// (`tcp[13] & 2 != 0`), `mpls`, `pppoes`, `gateway`, `protochain`, and the protocols that a tap
/// rarely sees. Octal numbers, numbers below 0x600 as a type of Ethernet, and addresses in fewer than four
/// parts, except behind `net`. The types 0x809b and 0x80f3 are not looked for behind SNAP headers.
///
/// Manual page: `pcap-filter(7)`.
#[doc(alias = "pcap_compile")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    layer: Layer,
    condition: Condition,
    program: Program,
}

impl Filter {
    /// Parses an expression for the packets of a device of this layer, without packet information or
    /// virtio-net header.
    ///
    /// # Errors
    ///
    /// What is wrong with the expression, and where. Besides mistakes in it, these are: an Ethernet address
    /// on a tun; an expression that evidently matches no packet, such as `arp` alone on a tun; and one that
    /// takes more than [`MAX_INSTRUCTIONS`], or is nested too deep.
    pub fn parse(layer: Layer, text: &str) -> Result<Filter, FilterError> {
        let whole = || 0..text.len();
        let condition = parse::parse(layer, text)?;
        if condition.constant() == Some(false) {
            return Err(FilterError::new(text, whole(), format!("no packet of a {layer} matches")));
        }
        let instructions = compile::instructions(&condition);
        let count = instructions.len();
        let program = Program::new(instructions).map_err(|_| {
            let message =
                format!("it takes {count} instructions, and a program has at most {MAX_INSTRUCTIONS}");
            FilterError::new(text, whole(), message)
        })?;
        Ok(Filter { layer, condition, program })
    }

    /// The layer of the packets that it is for.
    #[must_use]
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// Whether a packet matches.
    ///
    /// The bytes are those of a whole packet, from the header of the [layer](Self::layer) on.
    #[must_use]
    pub fn matches(&self, packet: &[u8]) -> bool {
        self.condition.holds(packet).unwrap_or(false)
    }

    /// The same as a program, which keeps a matching packet whole.
    ///
    /// A kernel's view of a packet may differ from its bytes: Linux often takes the outer VLAN tag out of a
    /// frame before it runs a program, so that `vlan` does not find it.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }
}
