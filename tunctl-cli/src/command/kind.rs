//! The kind of a new interface: its layer, and the headers in front of its packets.

use clap::Args;
use tunctl::CreateOptions;

#[derive(Args)]
pub(super) struct Kind {
    /// Make a TUN interface: its packets are IP packets
    #[arg(long, conflicts_with_all = ["tap", "mac"])]
    pub(super) tun: bool,
    /// Make a TAP interface: its packets are Ethernet frames (the default)
    #[arg(long)]
    pub(super) tap: bool,
    /// Put the packet information header in front of each packet
    #[arg(long)]
    pub(super) pi: bool,
    /// Put a virtio-net header in front of each packet
    #[arg(long)]
    pub(super) vnet_hdr: bool,
}

impl Kind {
    /// Of a new interface.
    pub(super) fn options(&self) -> CreateOptions {
        let layer = if self.tun { CreateOptions::tun() } else { CreateOptions::tap() };
        layer.packet_information(self.pi).vnet_header(self.vnet_hdr)
    }
}
