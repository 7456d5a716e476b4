//! Files of the kernel that need no machine, compiled for the host so that their unit tests run here.

#![allow(dead_code, reason = "the kernel uses all of it, the tests a part")]

#[path = "../../kernel/src/fs/cpio.rs"]
mod cpio;
#[path = "../../kernel/src/fs/textfs/lines.rs"]
mod lines;
#[path = "../../kernel/src/fs/vfs/path.rs"]
mod path;
#[path = "../../kernel/src/fs/textfs/value.rs"]
mod value;
