//! State, MTU and addresses.

use super::Harness;
use super::case::{Case, suite};

pub(super) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Configuration:]
}
