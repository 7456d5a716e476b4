//! The events of files and of the console's UART.
//!
//! Linux has no events of its virtual file system; there one traces the system calls. Here most users of files are the
//! kernel's own, so the events are where the files are: system `vfs`. What is transferred is told after it was done, with
//! what came of it. `uart` is the example of a device: one event where its interrupt hands a byte up, one where text goes out.

use crate::tracepoint::{event, event_class, trace_event};

trace_event! {
    /// A file was opened, or was not: then `ret` is the error.
    vfs:vfs_open(path: &str, flags: u32, file: usize, ret: i32) {
        file: ptr = file,
        flags: unsigned_int = flags,
        ret: int = ret,
        path: string = path,
    }
    print r#""path=%s flags=%s file=%p ret=%d", __get_str(path), (REC->flags & 3) ? __print_flags(REC->flags, "|", { 0x1, "O_WRONLY" }, { 0x2, "O_RDWR" }, { 0x40, "O_CREAT" }, { 0x80, "O_EXCL" }, { 0x200, "O_TRUNC" }, { 0x400, "O_APPEND" }, { 0x800, "O_NONBLOCK" }, { 0x4000, "O_DIRECTORY" }) : "O_RDONLY", REC->file, REC->ret"#
}

event_class! {
    /// Bytes went between a file and its user: `ret` of `count`, or an error.
    vfs_transfer(file: usize, pos: u64, count: usize, ret: i64) {
        file: ptr = file,
        pos: loff_t = pos as i64,
        count: size_t = count as u64,
        ret: ssize_t = ret,
    }
    print r#""file=%p pos=%lld count=%zu ret=%zd", REC->file, REC->pos, REC->count, REC->ret"#
}

event! {
    /// A file was read.
    vfs:vfs_read(file: usize, pos: u64, count: usize, ret: i64) as vfs_transfer
}

event! {
    /// A file was written. The position of one that appends is -1.
    vfs:vfs_write(file: usize, pos: u64, count: usize, ret: i64) as vfs_transfer
}

trace_event! {
    /// The last one who had it open has closed it.
    vfs:vfs_close(file: usize) {
        file: ptr = file,
    }
    print r#""file=%p", REC->file"#
}

trace_event! {
    /// The UART received a byte.
    uart:uart_rx(byte: u8) {
        byte: unsigned_char = byte,
    }
    print r#""byte=0x%02x", REC->byte"#
}

trace_event! {
    /// Text goes to the UART.
    uart:uart_tx(text: &[u8]) {
        len: unsigned_int = text.len() as u32,
        data: bytes = text,
    }
    print r#""len=%u data=%s", REC->len, __print_hex_str(__get_dynamic_array(data), __get_dynamic_array_len(data))"#
}
