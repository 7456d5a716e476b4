//! Unpacks the archive of the boot loader into the root.
//!
//! Contents stay where the boot loader put them (`ramfs.rs`), so unpacking costs a few allocations per
//! member and no copy, however large the archive is. A member whose path leaves the root (`..`), or is too
//! long or too deep, is refused with EINVAL and named; everything before it is there all the same, as with
//! Linux, which says so and boots on.

use super::cpio::{Member, MemberKind, members};
use super::ramfs::Dir;
use super::vfs::path::Path;
use alloc::sync::Arc;
use tracecore::errno::Errno;

/// Directories inside one another in the archive.
const MAX_DEPTH: usize = 64;

/// Unpacks `archive` into `root`: the number of members, or the error and how many came before it.
pub(crate) fn unpack(archive: &'static [u8], root: &Arc<Dir>) -> Result<usize, (usize, Errno)> {
    let mut done = 0;
    for member in members(archive) {
        member.and_then(|m| place(&m, root)).map_err(|e| (done, e))?;
        done += 1;
    }
    Ok(done)
}

fn place(member: &Member<'static>, root: &Arc<Dir>) -> Result<(), Errno> {
    let path = Path::new(member.name).map_err(|_| Errno::EINVAL)?;
    if path.names().any(|n| n == "..") || path.names().count() > MAX_DEPTH {
        return Err(Errno::EINVAL);
    }
    let mut names = path.names().filter(|n| *n != ".").peekable();
    let mut dir = root.clone();
    // "." alone is the root, which is there.
    while let Some(name) = names.next() {
        if names.peek().is_some() {
            dir = dir.dir(name, 0o755)?;
            continue;
        }
        match member.kind {
            MemberKind::Dir => drop(dir.dir(name, member.mode)?),
            MemberKind::File => dir.replace_image(name, member.mode, member.data)?,
            MemberKind::Symlink => {
                let target = core::str::from_utf8(member.data).map_err(|_| Errno::EINVAL)?;
                Path::new(target).map_err(|_| Errno::EINVAL)?;
                dir.link(name, target)?;
            }
            // Devices are devfs' business.
            MemberKind::Other => {}
        }
    }
    Ok(())
}
