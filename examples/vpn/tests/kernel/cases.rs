//! The cases, by what they are about.

mod hostile;
mod interop;
mod lab;
mod ours;
mod routing;
mod traffic;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    // First the slow ones, so that the others run beside them.
    let cases = [ours::cases(), interop::cases(), hostile::cases(), routing::cases()];
    tunctl_testing::main(cases.concat())
}
