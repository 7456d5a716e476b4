//! `mount`, `umount`, `sync` and `mkfs.fat`: programs that only a kernel can offer.

use crate::fs::{self, vfs};
use alloc::format;
use sh::Ctx;
use tracecore::errno::Errno;

/// Ends a program with what went wrong.
fn done(ctx: &mut Ctx, what: &str, result: Result<(), Errno>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(errno) => {
            ctx.fail(what, errno);
            1
        }
    }
}

fn usage(ctx: &mut Ctx, text: &str) -> i32 {
    ctx.eprint(&format!("usage: {text}\n"));
    2
}

/// `mount`: shows what is mounted. `mount DEV DIR`: mounts the FAT volume on a device.
pub(super) fn mount(ctx: &mut Ctx, args: &[&str]) -> i32 {
    match args {
        [] => {
            for mount in vfs::mounts() {
                ctx.print(&format!("{} on {} type {}\n", mount.source, mount.path, mount.kind));
            }
            0
        }
        [device, dir] => {
            let result = fs::mount_fat("/", &ctx.path(device), &ctx.path(dir));
            done(ctx, device, result)
        }
        _ => usage(ctx, "mount [DEV DIR]"),
    }
}

/// `umount DIR`: writes everything to the device and lets go of it.
pub(super) fn umount(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let [dir] = args else { return usage(ctx, "umount DIR") };
    // The one current directory that can be known here.
    let inside = vfs::chdir("/", &ctx.path(dir)).is_ok_and(|dir| {
        ctx.cwd.strip_prefix(&*dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let result = if inside { Err(Errno::EBUSY) } else { vfs::unmount("/", &ctx.path(dir)) };
    done(ctx, dir, result)
}

/// `sync`: what was written to files and devices becomes lasting.
pub(super) fn sync(ctx: &mut Ctx, args: &[&str]) -> i32 {
    match args {
        [] => done(ctx, "devices", fs::sync()),
        _ => usage(ctx, "sync"),
    }
}

/// `mkfs.fat DEV`: makes an empty volume of a device.
pub(super) fn mkfs(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let [device] = args else { return usage(ctx, "mkfs.fat DEV") };
    let result = fs::format_fat("/", &ctx.path(device));
    done(ctx, device, result)
}
