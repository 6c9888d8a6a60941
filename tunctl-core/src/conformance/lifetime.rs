//! Interfaces and devices come and go.

use super::case::{Case, suite};
use super::expect::{errno, name, refused_with, tun};
use super::{Harness, refused};
use crate::{Cause, TunDevice};

pub(super) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Lifetime:
        an_interface_goes_with_its_last_device,
        a_deleted_interface_is_gone_for_its_device,
    ]
}

fn an_interface_goes_with_its_last_device<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    assert!(harness.report(&name("tun0")).is_some());
    drop(device);
    assert!(harness.report(&name("tun0")).is_none());
}

fn a_deleted_interface_is_gone_for_its_device<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    harness.delete(&name("tun0"));
    refused_with(device.try_recv(&mut [0; 100]), Cause::Gone, errno::EBADFD);
    refused_with(device.try_send(&[0x45; 20]), Cause::Gone, errno::EBADFD);
    refused(device.name(), Cause::Gone);
}
