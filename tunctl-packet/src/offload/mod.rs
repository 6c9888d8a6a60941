//! Segmentation offload in user space: one large packet becomes those that it stands for, and the other way
//! round.

mod checksum;
mod coalesce;
mod error;
mod layout;
mod model;
mod split;
mod tunnel;

pub use checksum::{Sum, checksum, sum};
pub use coalesce::{Batch, Coalescer, MergeCounts, Merged, Parts};
pub use error::SplitError;
pub use split::{Apart, Cut, NoRoom, Segments};
