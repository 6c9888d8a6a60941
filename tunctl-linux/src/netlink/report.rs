//! What `RTM_GETLINK` reports of an interface beside its properties: counters, state, texts.

use std::ffi::CString;

use tunctl_core::{InterfaceIndex, Statistics};
use tunctl_sys::linux::netlink::{LINK_HEADER_SIZE, ifla, stats64};

use super::Answer;
use super::link::{byte, find, text, word};
use crate::{LinkType, OperationalState};

impl Answer {
    fn attributes(&self) -> &[u8] {
        self.payload.get(LINK_HEADER_SIZE..).unwrap_or_default()
    }

    /// The alias; empty if there is none.
    pub(crate) fn description(&self) -> CString {
        text(find(self.attributes(), ifla::IFALIAS).unwrap_or_default())
    }

    /// Every kernel reports them, unless it is asked not to.
    pub(crate) fn statistics(&self) -> Statistics {
        let counters = find(self.attributes(), ifla::STATS64).unwrap_or_default();
        let counter = |position: usize| {
            let counter = counters.chunks_exact(size_of::<u64>()).nth(position);
            counter.and_then(|counter| counter.try_into().ok()).map_or(0, u64::from_ne_bytes)
        };
        let mut statistics = Statistics::default();
        let Statistics { from_program, to_program, .. } = &mut statistics;
        from_program.packets = counter(stats64::RX_PACKETS);
        from_program.bytes = counter(stats64::RX_BYTES);
        // The driver counts its errors in the detailed counter, and leaves the sum at 0 (tun_get_user, Linux
        // 6.18).
        from_program.errors = counter(stats64::RX_ERRORS) + counter(stats64::RX_FRAME_ERRORS);
        from_program.dropped = counter(stats64::RX_DROPPED);
        to_program.packets = counter(stats64::TX_PACKETS);
        to_program.bytes = counter(stats64::TX_BYTES);
        to_program.errors = counter(stats64::TX_ERRORS);
        to_program.dropped = counter(stats64::TX_DROPPED);
        statistics
    }

    pub(crate) fn operational_state(&self) -> OperationalState {
        OperationalState::from_number(byte(self.attributes(), ifla::OPERSTATE).unwrap_or_default())
    }

    pub(crate) fn master(&self) -> Option<InterfaceIndex> {
        word(self.attributes(), ifla::MASTER).and_then(InterfaceIndex::new)
    }

    pub(crate) fn promiscuity(&self) -> u32 {
        word(self.attributes(), ifla::PROMISCUITY).unwrap_or_default()
    }

    /// From the header: family, padding, hardware type.
    pub(crate) fn link_type(&self) -> LinkType {
        let number = self.payload.get(2..4).and_then(|bytes| bytes.try_into().ok());
        LinkType::new(number.map_or(0, u16::from_ne_bytes))
    }
}
