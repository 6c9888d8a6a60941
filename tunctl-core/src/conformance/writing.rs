//! Sending packets.

use super::Harness;
use super::case::{Case, suite};

pub(super) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Writing:]
}
