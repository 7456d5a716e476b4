//! The events of memory, and of accesses to memory that is not there.
//!
//! What Linux's have beyond these fields (flags of the request, nodes, accounts) does not exist here. `call_site` is where
//! the function returns to into which the allocator was compiled: the allocator's common case is inlined nearly
//! everywhere, which makes it 60 instructions cheaper and its caller one level less exact.

use crate::tracepoint::trace_event;

trace_event! {
    /// A block of the heap was handed out; address 0 when there was none.
    kmem:kmalloc(call_site: usize, ptr: usize, bytes_req: usize, bytes_alloc: usize) {
        call_site: unsigned_long = call_site as u64,
        ptr: const_ptr = ptr,
        bytes_req: size_t = bytes_req as u64,
        bytes_alloc: size_t = bytes_alloc as u64,
    }
    print r#""call_site=%pS ptr=%p bytes_req=%zu bytes_alloc=%zu", (void *)REC->call_site, REC->ptr, REC->bytes_req, REC->bytes_alloc"#
}

trace_event! {
    /// A block of the heap is given back.
    kmem:kfree(call_site: usize, ptr: usize) {
        call_site: unsigned_long = call_site as u64,
        ptr: const_ptr = ptr,
    }
    print r#""call_site=%pS ptr=%p", (void *)REC->call_site, REC->ptr"#
}

trace_event! {
    /// Pages were handed out; frame number -1 when there were none.
    kmem:mm_page_alloc(pfn: u64, order: u32) {
        pfn: unsigned_long = pfn,
        order: unsigned_int = order,
    }
    print r#""pfn=0x%lx order=%d", REC->pfn, REC->order"#
}

trace_event! {
    /// Pages are given back.
    kmem:mm_page_free(pfn: u64, order: u32) {
        pfn: unsigned_long = pfn,
        order: unsigned_int = order,
    }
    print r#""pfn=0x%lx order=%d", REC->pfn, REC->order"#
}

trace_event! {
    /// The kernel touched memory that is not there, or not so. As on x86, which has had this event for longest.
    exceptions:page_fault_kernel(address: u64, ip: u64, error_code: u64) {
        address: unsigned_long = address,
        ip: unsigned_long = ip,
        error_code: unsigned_long = error_code,
    }
    print r#""address=%ps ip=%ps error_code=0x%lx", (void *)REC->address, (void *)REC->ip, REC->error_code"#
}
