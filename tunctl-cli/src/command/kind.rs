//! The kind of a new interface: its layer, and the headers in front of its packets.

use clap::Args;
use tunctl::{CreateFlags, CreateOptions, InterfaceInfo, Layer};

#[derive(Args)]
pub(super) struct Kind {
    /// Make a TUN interface: its packets are IP packets
    #[arg(long, conflicts_with_all = ["tap", "mac"])]
    tun: bool,
    /// Make a TAP interface: its packets are Ethernet frames (the default)
    #[arg(long)]
    tap: bool,
    /// Put the packet information header in front of each packet
    #[arg(long)]
    pi: bool,
    /// Put a virtio-net header in front of each packet
    #[arg(long)]
    vnet_hdr: bool,
}

impl Kind {
    /// Of a new interface.
    pub(super) fn options(&self) -> CreateOptions {
        let layer = if self.tun { CreateOptions::tun() } else { CreateOptions::tap() };
        layer.packet_information(self.pi).vnet_header(self.vnet_hdr)
    }

    /// Of an interface that exists: its own queues, and its own layer and headers unless others are asked
    /// for.
    pub(super) fn options_of(&self, existing: &InterfaceInfo) -> CreateOptions {
        let has = |flag| existing.flags.contains(flag);
        let is_tun = self.tun || (!self.tap && existing.layer == Layer::Tun);
        let keeps_headers = !self.pi && !self.vnet_hdr;
        let kind = Self {
            tun: is_tun,
            tap: !is_tun,
            pi: self.pi || (keeps_headers && !has(CreateFlags::NO_PI)),
            vnet_hdr: self.vnet_hdr || (keeps_headers && has(CreateFlags::VNET_HDR)),
        };
        kind.options().multi_queue(has(CreateFlags::MULTI_QUEUE))
    }
}
