//! What the running kernel's driver can do, found by asking it.

mod ask;

use std::fmt;

use tunctl_core::{Operation, Result};
use tunctl_sys::linux::{iff, offload, tun};

use crate::LinuxBackend;
use ask::Question;
pub(crate) use ask::flags;

/// Whether the driver has a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The kernel has it.
    Present,
    /// The kernel does not have it.
    Absent,
    /// The kernel did not answer: asking takes a right that the caller lacks, or the system refused something
    /// else.
    Unknown,
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        })
    }
}

macro_rules! features {
    ($($(#[$docs:meta])* $name:ident = $text:literal, $question:expr;)*) => {
        /// Something that some kernels' TUN/TAP drivers have.
        ///
        /// `Display` prints its name in the kernel's own words: `multi_queue`, `tso4`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Feature {
            $($(#[$docs])* $name,)*
        }

        impl Feature {
            /// All features, in groups: creation flags, offloads, virtio-net headers, filters, the interface.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            const fn question(self) -> Question {
                match self {
                    $(Self::$name => $question,)*
                }
            }
        }
    };
}

features! {
    /// Creation flag: several devices may share an interface, each with a queue of its own.
    #[doc(alias = "IFF_MULTI_QUEUE")]
    MultiQueue = "multi_queue", Question::Flag(iff::MULTI_QUEUE);
    /// Creation flag: packets have a virtio-net header in front.
    #[doc(alias = "IFF_VNET_HDR")]
    VnetHeader = "vnet_hdr", Question::Flag(iff::VNET_HDR);
    /// Creation flag: packets that a program sends go through the kernel's polling, several at a time.
    #[doc(alias = "IFF_NAPI")]
    Napi = "napi", Question::Flag(iff::NAPI);
    /// Creation flag: the pieces of a vectored send become a packet's fragments. Setting it takes
    /// `CAP_NET_ADMIN` in the first user namespace.
    #[doc(alias = "IFF_NAPI_FRAGS")]
    NapiFragments = "napi_frags", Question::Flag(iff::NAPI_FRAGS);
    /// Creation flag: the interface begins without a carrier.
    #[doc(alias = "IFF_NO_CARRIER")]
    NoCarrier = "no_carrier", Question::Flag(iff::NO_CARRIER);
    /// Creation flag: a full queue stops its senders, where it otherwise drops their packets.
    #[doc(alias = "IFF_BACKPRESSURE")]
    Backpressure = "backpressure", Question::Flag(iff::BACKPRESSURE);
    /// Offload: the program takes packets whose checksum is not complete.
    #[doc(alias = "TUN_F_CSUM")]
    Checksum = "csum", Question::Offload(offload::CSUM);
    /// Offload: the program takes joined segments of TCP over IPv4.
    #[doc(alias = "TUN_F_TSO4")]
    Tso4 = "tso4", Question::Offload(offload::CSUM | offload::TSO4);
    /// Offload: the program takes joined segments of TCP over IPv6.
    #[doc(alias = "TUN_F_TSO6")]
    Tso6 = "tso6", Question::Offload(offload::CSUM | offload::TSO6);
    /// Offload: the program takes joined segments of TCP with ECN.
    #[doc(alias = "TUN_F_TSO_ECN")]
    TsoEcn = "tso_ecn", Question::Offload(offload::CSUM | offload::TSO4 | offload::TSO_ECN);
    /// Offload: the driver accepts the bit for joined UDP fragments, which has had no effect since Linux
    /// 4.14.
    #[doc(alias = "TUN_F_UFO")]
    Ufo = "ufo", Question::Offload(offload::CSUM | offload::UFO);
    /// Offload: the program takes joined datagrams of UDP. IPv4 and IPv6 go together only.
    #[doc(alias = "TUN_F_USO4")]
    #[doc(alias = "TUN_F_USO6")]
    Uso = "uso", Question::Offload(offload::CSUM | offload::USO4 | offload::USO6);
    /// Offload: the program takes joined segments within a UDP tunnel.
    #[doc(alias = "TUN_F_UDP_TUNNEL_GSO")]
    UdpTunnel = "udp_tunnel", Question::Offload(offload::CSUM | offload::TSO4 | offload::UDP_TUNNEL_GSO);
    /// Offload: the same, where the tunnel has a checksum of its own.
    #[doc(alias = "TUN_F_UDP_TUNNEL_GSO_CSUM")]
    UdpTunnelChecksum = "udp_tunnel_csum", Question::Offload(
        offload::CSUM | offload::TSO4 | offload::UDP_TUNNEL_GSO | offload::UDP_TUNNEL_GSO_CSUM
    );
    /// A virtio-net header may have 12 bytes: with the number of buffers.
    #[doc(alias = "TUNSETVNETHDRSZ")]
    VnetHeader12 = "vnet_hdr_12", Question::Call(|fd| tun::set_vnet_header_size(fd, 12));
    /// A virtio-net header may have 20 bytes: with a hash.
    #[doc(alias = "TUNSETVNETHDRSZ")]
    VnetHeader20 = "vnet_hdr_20", Question::Call(|fd| tun::set_vnet_header_size(fd, 20));
    /// A virtio-net header may have 24 bytes: with the offsets in a tunnel, which a kernel fills in if it has
    /// [`UdpTunnel`](Self::UdpTunnel).
    #[doc(alias = "TUNSETVNETHDRSZ")]
    VnetHeader24 = "vnet_hdr_24", Question::Call(|fd| tun::set_vnet_header_size(fd, 24));
    /// A virtio-net header may be little endian, whatever the machine is.
    #[doc(alias = "TUNSETVNETLE")]
    LittleEndian = "vnet_le", Question::Call(|fd| tun::set_vnet_little_endian(fd, true));
    /// A virtio-net header may be big endian, whatever the machine is.
    #[doc(alias = "TUNSETVNETBE")]
    BigEndian = "vnet_be", Question::Call(|fd| tun::set_vnet_big_endian(fd, true));
    /// A tap can drop frames to other MAC addresses.
    #[doc(alias = "TUNSETTXFILTER")]
    MacFilter = "mac_filter", Question::Call(|fd| tun::set_mac_filter_off(fd));
    /// A classic BPF program can cut or drop a tap's frames.
    #[doc(alias = "TUNATTACHFILTER")]
    ClassicFilter = "classic_filter", Question::Call(|fd| tun::detach_filter(fd));
    /// An eBPF program can cut or drop packets. (Loading one takes rights of its own.)
    #[doc(alias = "TUNSETFILTEREBPF")]
    FilterProgram = "filter_ebpf", Question::Call(|fd| tun::set_filter_program_off(fd));
    /// An eBPF program can choose a packet's queue.
    #[doc(alias = "TUNSETSTEERINGEBPF")]
    SteeringProgram = "steering_ebpf", Question::Call(|fd| tun::set_steering_program_off(fd));
    /// A program can choose the index of a new interface.
    #[doc(alias = "TUNSETIFINDEX")]
    Index = "index", Question::Unattached(|fd| tun::set_index(fd, 1));
    /// A program can switch the carrier of its interface.
    #[doc(alias = "TUNSETCARRIER")]
    Carrier = "carrier", Question::Call(|fd| tun::set_carrier(fd, true));
    /// The driver says which network namespace an interface is in.
    #[doc(alias = "TUNGETDEVNETNS")]
    InterfaceNamespace = "device_netns", Question::Call(|fd| tun::device_namespace(fd).map(drop));
    /// The driver says in which network namespace a device was opened.
    #[doc(alias = "SIOCGSKNS")]
    OpeningNamespace = "socket_netns", Question::Call(|fd| tun::openers_namespace(fd).map(drop));
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// What the running kernel's driver can do, as [`LinuxBackend::features`] finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features([Presence; Feature::ALL.len()]);

impl Features {
    /// Whether the driver has a feature, as far as it answered.
    #[must_use]
    pub const fn get(&self, feature: Feature) -> Presence {
        self.0[feature as usize]
    }

    /// Whether the driver is known to have a feature.
    #[must_use]
    pub const fn has(&self, feature: Feature) -> bool {
        matches!(self.get(feature), Presence::Present)
    }

    /// Each feature, and whether the driver has it.
    pub fn iter(&self) -> impl Iterator<Item = (Feature, Presence)> {
        Feature::ALL.iter().map(|&feature| (feature, self.get(feature)))
    }
}

impl LinuxBackend {
    /// Asks the driver of the running kernel what it can do.
    ///
    /// ```no_run
    /// use tunctl_linux::{Feature, LinuxBackend, Presence};
    ///
    /// let features = LinuxBackend::new().features()?;
    /// if features.has(Feature::Uso) {
    ///     println!("this kernel joins datagrams");
    /// }
    /// for (feature, presence) in features.iter().filter(|(_, presence)| *presence == Presence::Unknown) {
    ///     println!("{feature}: {presence}");
    /// }
    /// # Ok::<(), tunctl_core::Error>(())
    /// ```
    ///
    /// It tries each feature, and never looks at the kernel's version. The creation flags and
    /// [`Feature::Index`] are always known. The driver answers the rest only about an interface, so a
    /// temporary one is created, in a network namespace of its own: nothing of it is seen in the caller's
    /// namespace, neither a message of netlink nor an index. No right over the caller's network is needed.
    /// Where the system permits no such namespace to the caller, the rest is [`Presence::Unknown`], and
    /// certainly not absent.
    ///
    /// It takes some tens of milliseconds, since the kernel waits when it deletes the interface. Ask once,
    /// and keep the answer: it is the same until the next boot.
    ///
    /// # Errors
    ///
    /// `MissingNode`, `MissingDriver`, `ClosedNode`, `ContainerRules`; `TooManyOpenFiles`.
    ///
    /// # Platform
    ///
    /// Linux only. The namespace is made as [`Namespace::new`](crate::Namespace::new) makes one: it takes
    /// `CAP_SYS_ADMIN`, or a system that permits user namespaces. A sandbox that kills a program for
    /// `unshare(2)` kills it for this.
    #[doc(alias = "TUNGETFEATURES")]
    pub fn features(&self) -> Result<Features> {
        ask::features(self.node()).map_err(|reason| reason.of(Operation::Probe))
    }
}

/// The operations that a kernel is known to lack, by the creation flags that it knows.
pub(crate) const fn lacking(flags: Option<u32>) -> &'static [Operation] {
    match flags {
        Some(flags) if flags & iff::MULTI_QUEUE as u32 == 0 => {
            &[Operation::AttachQueue, Operation::DetachQueue]
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_has_its_own_place_and_name() {
        let names: std::collections::BTreeSet<_> = Feature::ALL.iter().map(Feature::to_string).collect();
        assert_eq!(names.len(), Feature::ALL.len());
        for (place, &feature) in Feature::ALL.iter().enumerate() {
            let mut features = Features([Presence::Absent; Feature::ALL.len()]);
            features.0[place] = Presence::Present;
            assert!(features.has(feature));
            assert_eq!(features.iter().filter(|(_, presence)| *presence == Presence::Present).count(), 1);
        }
    }

    #[test]
    fn an_operation_is_lacking_only_if_its_flag_is_known_to_be() {
        let all = u32::from(u16::MAX);
        assert!(lacking(None).is_empty() && lacking(Some(all)).is_empty());
        let old = lacking(Some(all & !u32::from(iff::MULTI_QUEUE)));
        assert_eq!(old, [Operation::AttachQueue, Operation::DetachQueue]);
    }
}
