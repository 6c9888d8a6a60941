//! `cargo xtask oracle`: holds segmentation to the kernel's.

use crate::Outcome;
use crate::tool::{self, Build};

/// Builds the comparison, and runs it.
pub(crate) fn run(build: Build, options: &[&str]) -> Outcome {
    tool::campaign(build, "oracle", options)
        .map_err(|_| "our segments and the kernel's are not shown to agree: see above".to_owned())
}
