//! `README`: the help of tracefs. Programs look in it for the lines of the grammar, to see what a kernel can do, so those
//! are Linux's to the byte; the rest is in our words.

use tracecore::errno::Errno;

use crate::fs::textfs::Text;
use crate::fs::tracefs;

pub(super) fn init() {
    tracefs::tracefs().file(
        "README",
        Text::shown(0o440, |out| out.write_str(include_str!("readme.txt")).map_err(|_| Errno::ENOMEM)),
    );
}
