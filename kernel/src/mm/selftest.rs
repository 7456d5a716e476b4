//! The allocators under stress, and at their end.

use super::{MAX_ORDER, PhysPages, Stack, alloc_pages, order_for, stats, try_arc, try_box};
use crate::arch::{self, PAGE_SIZE, STACK_SIZE, mmu};
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq};
use crate::sync::{on_each_cpu, online_cpus};
use crate::task::{self, Prio};
use crate::workload::Random;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::sync::atomic::{AtomicU32, Ordering};
use tracecore::errno::Errno;

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "orders", run: orders },
    Test { name: "sizes_and_alignments", run: sizes_and_alignments },
    Test { name: "heap_stress_on_all_cpus", run: heap_stress_on_all_cpus },
    Test { name: "realloc_keeps_contents", run: realloc_keeps_contents },
    Test { name: "pages_come_back", run: pages_come_back },
    Test { name: "exhaustion_is_an_error", run: exhaustion_is_an_error },
    Test { name: "stack_has_a_hole_below", run: stack_has_a_hole_below },
    Test { name: "stacks_are_recycled", run: stacks_are_recycled },
];

fn orders(t: &mut TestCtx<'_>) -> TestResult {
    check_eq!(t, order_for(0), Some(0));
    check_eq!(t, order_for(1), Some(0));
    check_eq!(t, order_for(PAGE_SIZE), Some(0));
    check_eq!(t, order_for(PAGE_SIZE + 1), Some(1));
    check_eq!(t, order_for(3 * PAGE_SIZE), Some(2));
    check_eq!(t, order_for(PAGE_SIZE << MAX_ORDER), Some(MAX_ORDER));
    check_eq!(t, order_for((PAGE_SIZE << MAX_ORDER) + 1), None);
    for order in 0..=MAX_ORDER {
        let block = alloc_pages(order);
        check!(t, block.is_ok(), "order {order}");
        if let Ok(block) = block {
            check_eq!(t, block.len(), PAGE_SIZE << order);
            check!(t, block.phys().is_multiple_of(block.len()));
            check_eq!(t, mmu::virt_to_phys(block.virt().addr().get()), Some(block.phys()));
        }
    }
    check_eq!(t, alloc_pages(MAX_ORDER + 1).err(), Some(Errno::ENOMEM));
    Ok(())
}

fn sizes_and_alignments(t: &mut TestCtx<'_>) -> TestResult {
    for align in (0..13).map(|shift| 1 << shift) {
        for size in [1, 8, 15, 16, 17, 47, 48, 49, 95, 200, 513, 1025, 2047, 2048, 2049, 5000, 70_000] {
            let Ok(layout) = Layout::from_size_align(size, align) else { continue };
            // SAFETY: the size is not 0; both blocks are freed with their layout and not used after.
            let (a, b) = unsafe { (alloc::alloc::alloc(layout), alloc::alloc::alloc(layout)) };
            check!(t, !a.is_null() && !b.is_null());
            check!(t, a.addr().is_multiple_of(align) && b.addr().is_multiple_of(align), "{size} at {align}");
            check!(t, a.addr().abs_diff(b.addr()) >= size, "{size} at {align}: blocks overlap");
            // SAFETY: as above.
            unsafe {
                a.write_bytes(0xaa, size);
                b.write_bytes(0x55, size);
                check_eq!(t, (*a, *a.add(size - 1)), (0xaa, 0xaa));
                alloc::alloc::dealloc(a, layout);
                alloc::alloc::dealloc(b, layout);
            }
        }
    }
    Ok(())
}

/// Blocks are made on one CPU and freed on another; each holds a pattern that nobody else may touch.
fn heap_stress_on_all_cpus(t: &mut TestCtx<'_>) -> TestResult {
    const STEPS: usize = 4000;
    const SLOTS: usize = 64;
    type Block = (u8, Vec<u8>);
    let slots: Arc<[crate::sync::SpinLock<Option<Block>>; SLOTS]> =
        Arc::new([const { crate::sync::SpinLock::new(None) }; SLOTS]);
    let broken = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..arch::MAX_CPUS)
        .filter(|cpu| online_cpus() & 1 << cpu != 0)
        .map(|cpu| {
            let (slots, broken) = (slots.clone(), broken.clone());
            task::spawn_on(
                "heap",
                Prio::NORMAL,
                1 << cpu,
                Box::new(move || {
                    let mut random = Random::new(cpu as u64 + 1);
                    for _ in 0..STEPS {
                        let size = match random.below(16) {
                            0 => random.below(40_000) as usize,
                            1..4 => random.below(3000) as usize,
                            _ => random.below(300) as usize,
                        };
                        let mark = random.byte();
                        let mut block = Vec::new();
                        if block.try_reserve_exact(size).is_err() {
                            continue;
                        }
                        block.resize(size, mark);
                        let old = slots[random.below(SLOTS as u64) as usize].lock().replace((mark, block));
                        if let Some((mark, block)) = old
                            && block.iter().any(|&byte| byte != mark)
                        {
                            broken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }),
            )
        })
        .collect();
    for task in tasks {
        check!(t, task.is_ok());
        check!(t, task.is_ok_and(|task| task.join().is_ok()));
    }
    check_eq!(t, broken.load(Ordering::Relaxed), 0, "blocks with foreign bytes");
    Ok(())
}

fn realloc_keeps_contents(t: &mut TestCtx<'_>) -> TestResult {
    let mut bytes = Vec::new();
    for i in 0..100_000u32 {
        bytes.push(i as u8);
    }
    bytes.truncate(1000);
    bytes.shrink_to_fit();
    check!(t, bytes.iter().enumerate().all(|(i, &byte)| byte == i as u8));
    Ok(())
}

fn pages_come_back(t: &mut TestCtx<'_>) -> TestResult {
    on_each_cpu(&|| {});
    let before = stats();
    {
        let mut blocks = Vec::new();
        for i in 0..200 {
            if let Ok(block) = alloc_pages(i % 4) {
                blocks.push(block);
            }
        }
        check_eq!(t, blocks.len(), 200);
        check!(t, stats().free_bytes < before.free_bytes);
    }
    let after = stats();
    check_eq!(
        t,
        after.free_bytes + after.slab_bytes + after.large_bytes,
        before.free_bytes + before.slab_bytes + before.large_bytes
    );
    check_eq!(t, after.total_bytes, before.total_bytes);
    Ok(())
}

/// Takes every page there is, and asks for more in all ways.
fn exhaustion_is_an_error(t: &mut TestCtx<'_>) -> TestResult {
    let before = stats();
    let mut blocks: Vec<PhysPages> = Vec::new();
    // Room for the blocks themselves is made first.
    check!(t, blocks.try_reserve(before.total_bytes / PAGE_SIZE / 4).is_ok());
    let (page, boxed, shared, vec, spawned) = {
        // Others on this CPU do not have to live without memory.
        let _alone = crate::sync::PreemptGuard::new();
        for order in (0..=MAX_ORDER).rev() {
            while blocks.len() < blocks.capacity()
                && let Ok(block) = alloc_pages(order)
            {
                blocks.push(block);
            }
        }
        // Slabs may have room left: ask for what they never have. Small objects live on the reserve.
        let small: Vec<Box<[u8; 64]>> = (0..100).map(|i| Box::new([i; 64])).collect();
        core::hint::black_box(&small);
        let results = (
            alloc_pages(0).err(),
            try_box([0u8; 2 * PAGE_SIZE]).err(),
            try_arc([0u8; 2 * PAGE_SIZE]).err(),
            core::hint::black_box(&mut Vec::<u8>::new()).try_reserve_exact(PAGE_SIZE).is_err(),
            task::spawn("none", Prio::NORMAL, Box::new(|| {})).map(|_| ()),
        );
        blocks.clear();
        results
    };
    drop(blocks);
    check_eq!(t, page, Some(Errno::ENOMEM));
    check_eq!(t, boxed, Some(Errno::ENOMEM));
    check_eq!(t, shared, Some(Errno::ENOMEM));
    check!(t, vec);
    // A stack may have been kept from an earlier task.
    check!(t, spawned == Err(Errno::ENOMEM) || spawned == Ok(()));
    let after = stats();
    check!(t, after.failures > before.failures);
    check!(t, alloc_pages(MAX_ORDER).is_ok(), "large blocks are whole again");
    Ok(())
}

fn stack_has_a_hole_below(t: &mut TestCtx<'_>) -> TestResult {
    let Ok(stack) = Stack::new() else {
        check!(t, false, "no stack");
        return Ok(());
    };
    check_eq!(t, stack.top() - stack.base(), STACK_SIZE);
    check!(t, stack.base().is_multiple_of(2 * STACK_SIZE));
    for page in (stack.base()..stack.top()).step_by(PAGE_SIZE) {
        check!(t, mmu::virt_to_phys(page).is_some());
    }
    check_eq!(t, mmu::virt_to_phys(stack.base() - 1), None);
    check_eq!(t, mmu::virt_to_phys(stack.top()), None);
    let mine = task::current().stack();
    let here = &raw const stack as usize;
    check!(t, mine.contains(&here), "{here:#x} is not in {mine:x?}");
    check_eq!(t, mmu::virt_to_phys(mine.start - 1), None);
    Ok(())
}

fn stacks_are_recycled(t: &mut TestCtx<'_>) -> TestResult {
    let mut bases: Vec<usize> = Vec::new();
    let mut stacks: Vec<Stack> = Vec::new();
    for _ in 0..200 {
        if let Ok(stack) = Stack::new() {
            bases.push(stack.base());
            stacks.push(stack);
        }
    }
    check_eq!(t, stacks.len(), 200);
    bases.sort_unstable();
    bases.dedup();
    check_eq!(t, bases.len(), 200, "two stacks in one place");
    stacks.clear();
    let before = stats().stack_bytes;
    let again = Stack::new();
    check!(t, again.is_ok());
    check_eq!(t, stats().stack_bytes, before, "a kept stack was not used");
    // More than are kept were given back: their places are used again, and are not mapped meanwhile.
    let gone = bases.iter().filter(|&&base| mmu::virt_to_phys(base).is_none()).count();
    check!(t, gone > 100, "{gone} stacks were unmapped");
    for _ in 0..200 {
        stacks.extend(Stack::new());
    }
    for stack in &stacks {
        check!(t, bases.binary_search(&stack.base()).is_ok() || again.is_ok());
        // SAFETY: the stack is mapped and owned; its lowest word is free to write.
        unsafe { core::ptr::with_exposed_provenance_mut::<usize>(stack.base()).write(stack.base()) };
    }
    // SAFETY: as above.
    let intact = stacks
        .iter()
        .all(|s| unsafe { core::ptr::with_exposed_provenance::<usize>(s.base()).read() } == s.base());
    check!(t, intact, "two places show the same page");
    Ok(())
}
