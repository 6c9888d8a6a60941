//! Random filter expressions.

use tunctl_core::Layer;

use crate::differential::random::Random;

/// Addresses and ports that the packets have, too, so that expressions match some.
pub(crate) const HOSTS_V4: &[[u8; 4]] =
    &[[10, 0, 0, 1], [10, 0, 0, 2], [10, 1, 2, 3], [192, 168, 1, 1], [224, 0, 0, 251], [255; 4]];
pub(crate) const HOSTS_V6: &[&str] = &["fd77::1", "fd77::2", "fe80::1", "ff02::fb", "2001:db8:1:2:3:4:5:6"];
pub(crate) const MACS: &[[u8; 6]] =
    &[[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [0x33, 0x33, 0, 0, 0, 1], [0xff; 6]];
pub(crate) const PORTS: &[u16] = &[22, 53, 80, 443, 6000, 6001, 65535];
pub(crate) const PROTOCOLS: &[u8] = &[1, 2, 6, 17, 44, 47, 50, 51, 58, 60, 103, 112, 132];
/// The types of VLAN tags, and the numbers in them.
pub(crate) const TAGS: &[u16] = &[0x8100, 0x88a8, 0x9100];
pub(crate) const VLANS: &[u16] = &[0, 5, 7, 4095];
pub(crate) const ETHER_TYPES: &[u16] =
    &[0x0800, 0x0806, 0x8035, 0x86dd, 0x88cc, 0x8100, 0x88a8, 0x8847, 0x8864, 0x0600, 0xffff];

const NETS: &[&str] = &[
    "10.0.0.0/8",
    "10.0.0.0/31",
    "10",
    "192.168",
    "10.1.2",
    "10.0.0.0",
    "10.0.0.1",
    "0.0.0.0/0",
    "192.168.1.0/24",
    "10.0.0.0 mask 255.0.0.0",
    "10.0.0.1 mask 255.0.255.255",
    "224.0.0.0/4",
    "fd77::/16",
    "fd77::/63",
    "fd77::1",
    "::/0",
    "2001:db8:1::/48",
    "ff00::/8",
    "2001:db8:1:2:3::/84",
];

/// Draws an expression for packets of the layer.
pub(crate) fn draw(random: &mut Random, layer: Layer) -> String {
    Draw { random, layer }.expression(3)
}

struct Draw<'a> {
    random: &'a mut Random,
    layer: Layer,
}

impl Draw<'_> {
    /// Some operands, joined.
    fn expression(&mut self, depth: usize) -> String {
        let count = *self.random.pick(&[1, 1, 2, 2, 3, 5]);
        let mut text = self.operand(depth);
        for _ in 1..count {
            text.push_str(self.one(&[" and ", " or ", " && ", " || "]));
            text.push_str(&self.operand(depth));
        }
        text
    }

    fn operand(&mut self, depth: usize) -> String {
        let negation = *self.random.pick(&["", "", "", "not ", "!", "not not "]);
        let inner = if depth > 0 && self.random.one_of(1, 5) {
            format!("({})", self.expression(depth - 1))
        } else {
            self.primitive()
        };
        format!("{negation}{inner}")
    }

    fn primitive(&mut self) -> String {
        match self.random.below(22) {
            0..=3 => self.abbreviation().to_owned(),
            4..=6 => self.hosts(),
            7..=8 => self.nets(),
            9..=12 => self.ports(),
            13 => self.port_ranges(),
            14..=15 => self.protocols(),
            16 => self.group().to_owned(),
            17 => format!("less {}", self.random.below(200)),
            18 => format!("greater {}", self.random.below(200)),
            19..=20 if self.layer == Layer::Tap => self.vlan(),
            _ if self.layer == Layer::Tap => self.macs(),
            _ => self.ether_types(),
        }
    }

    fn one(&mut self, among: &[&'static str]) -> &'static str {
        among[self.random.below(among.len())]
    }

    fn abbreviation(&mut self) -> &'static str {
        self.one(&[
            "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "pim", "vrrp", "ah",
            "esp",
        ])
    }

    fn group(&mut self) -> &'static str {
        match self.layer {
            Layer::Tap => self.one(&[
                "broadcast",
                "multicast",
                "ether broadcast",
                "ether multicast",
                "ip multicast",
                "ip6 multicast",
            ]),
            Layer::Tun => self.one(&["ip multicast", "ip6 multicast"]),
        }
    }

    fn direction(&mut self) -> &'static str {
        self.one(&["", "", "src ", "dst ", "src or dst ", "src and dst ", "dst or src ", "dst and src "])
    }

    fn hosts(&mut self) -> String {
        let direction = self.direction();
        let kind = if direction.is_empty() || self.random.one_of(1, 2) { "host " } else { "" };
        let (protocol, values): (_, fn(&mut Self) -> String) = if self.random.one_of(1, 2) {
            (*self.random.pick(&["", "", "ip ", "arp ", "rarp "]), |draw| draw.host_v4())
        } else {
            (*self.random.pick(&["", "ip6 "]), |draw| (*draw.random.pick(HOSTS_V6)).to_owned())
        };
        format!("{protocol}{direction}{kind}{}", self.values(values))
    }

    fn host_v4(&mut self) -> String {
        std::net::Ipv4Addr::from(*self.random.pick(HOSTS_V4)).to_string()
    }

    fn nets(&mut self) -> String {
        let is_v6 = |net: &str| net.contains(':');
        let net = *self.random.pick(NETS);
        let protocols: &[&str] = if is_v6(net) { &["", "ip6 "] } else { &["", "", "ip ", "arp ", "rarp "] };
        let (protocol, direction) = (*self.random.pick(protocols), self.direction());
        let alike: Vec<_> = NETS.iter().filter(|other| is_v6(other) == is_v6(net)).collect();
        let values = self.values(|draw| (**draw.random.pick(&alike)).to_owned());
        format!("{protocol}{direction}net {values}")
    }

    fn ports(&mut self) -> String {
        let protocol = *self.random.pick(&["", "", "tcp ", "udp ", "sctp "]);
        let direction = self.direction();
        let values = self.values(|draw| draw.random.pick(PORTS).to_string());
        format!("{protocol}{direction}port {values}")
    }

    fn port_ranges(&mut self) -> String {
        let protocol = *self.random.pick(&["", "", "tcp ", "udp "]);
        let direction = self.direction();
        let values = self.values(|draw| {
            let (first, last) = (*draw.random.pick(PORTS), *draw.random.pick(PORTS));
            format!("{first}-{last}")
        });
        format!("{protocol}{direction}portrange {values}")
    }

    fn protocols(&mut self) -> String {
        match self.random.below(4) {
            0 => self.ether_types(),
            1 => {
                let name =
                    self.random.pick(&["tcp", "udp", "icmp", "igmp", "ipv6-icmp", "gre", "esp", "sctp"]);
                format!("{}proto \\{name}", self.random.pick(&["", "ip ", "ip6 "]))
            }
            _ => {
                let version = *self.random.pick(&["", "ip ", "ip6 "]);
                let values = self.values(|draw| match draw.random.below(3) {
                    0 => format!("{:#x}", draw.random.pick(PROTOCOLS)),
                    _ => draw.random.pick(PROTOCOLS).to_string(),
                });
                format!("{version}proto {values}")
            }
        }
    }

    fn ether_types(&mut self) -> String {
        let values = self.values(|draw| format!("{:#06x}", draw.random.pick(ETHER_TYPES)));
        format!("ether proto {values}")
    }

    fn macs(&mut self) -> String {
        let direction = self.direction();
        let values = self.values(|draw| {
            let octets = draw.random.pick(MACS).map(|octet| format!("{octet:02x}"));
            octets.join(":")
        });
        format!("ether {direction}{}{values}", if direction.is_empty() { "host " } else { "" })
    }

    fn vlan(&mut self) -> String {
        match self.random.below(3) {
            0 => "vlan".to_owned(),
            1 => format!("vlan {}", self.random.pick(VLANS)),
            _ => format!("vlan {:#x}", self.random.pick(VLANS)),
        }
    }

    /// One value, or some that have their qualifiers in common.
    fn values(&mut self, mut value: impl FnMut(&mut Self) -> String) -> String {
        let first = value(self);
        match self.random.below(8) {
            0 => format!("{first} or {}", value(self)),
            1 => format!("{first} and not {}", value(self)),
            2 => format!("({first} or {})", value(self)),
            3 => format!("({first} and {} or not {})", value(self), value(self)),
            4 => format!("{first} or ({} and {})", value(self), value(self)),
            _ => first,
        }
    }
}
