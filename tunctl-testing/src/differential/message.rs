//! What a worker tells the parent: a line of JSON each.

use serde::{Deserialize, Serialize};

use crate::differential::table::Tally;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// What was done since the last one.
    Progress(Tally),
    /// The sides differ.
    Difference {
        case: u64,
        kind: String,
        /// Ready to be printed.
        text: String,
    },
    /// The worker cannot go on.
    Failed(String),
    /// It has done its share.
    Done,
}
