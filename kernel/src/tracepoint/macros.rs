//! The declarations: one macro call, one event.
//!
//! | macro | as Linux's | makes |
//! |---|---|---|
//! | `trace_event!` | `TRACE_EVENT` | a tracepoint and its event |
//! | `event_class!` | `DECLARE_EVENT_CLASS` | the body of several events |
//! | `event!` | `DEFINE_EVENT` | a tracepoint whose event has the body of a class |
//! | `tracepoint!` | `DECLARE_TRACE` | a tracepoint without an event |
//! | `trace!` | `trace_NAME(…)` | the call |
//! | `trace_enabled!` | `trace_NAME_enabled()` | does anybody listen? |
//!
//! Each declaration becomes a module of its name. In it stand the key, the tracepoint, `register`, which takes a closure with
//! the tracepoint's own argument types, and `attach`, which takes a `static` probe.

/// Fires a tracepoint. While nobody listens this is one NOP, and the arguments are not evaluated.
macro_rules! trace {
    ($($path:ident)::+ ( $($arg:expr),* $(,)? )) => {
        if $crate::jump_label::static_branch_unlikely!($($path)::+::KEY) {
            core::hint::cold_path();
            let (function, data) = $($path)::+::target();
            function($($arg,)* data);
        }
    };
}

/// Does anybody listen? For what has to be prepared for a call.
macro_rules! trace_enabled {
    ($($path:ident)::+) => {
        $crate::jump_label::static_branch_unlikely!($($path)::+::KEY)
    };
}

/// An event: see the head of [`crate::tracepoint`].
macro_rules! trace_event {
    (
        $(#[$meta:meta])*
        $system:ident : $name:ident ( $($arg:ident : $ty:ty),* $(,)? ) {
            $($field:ident : $fty:ty = $value:expr),* $(,)?
        }
        print $print:expr
    ) => {
        $(#[$meta])*
        #[allow(unsafe_code, reason = "functions of one type behind untyped pointers")]
        #[allow(dead_code, reason = "what a tracepoint can do, used or not")]
        #[allow(clippy::wildcard_imports, reason = "the types of arguments are named as outside")]
        pub(crate) mod $name {
            #[allow(unused_imports, reason = "some events have none of them")]
            use super::*;
            $crate::tracepoint::define_class! {
                ($($arg: $ty),*) { $($field: $fty = $value),* } print $print
            }
            $crate::tracepoint::define_event! { $system $name ($($arg: $ty),*) self }
        }
    };
}

/// The body of several events.
macro_rules! event_class {
    (
        $(#[$meta:meta])*
        $name:ident ( $($arg:ident : $ty:ty),* $(,)? ) {
            $($field:ident : $fty:ty = $value:expr),* $(,)?
        }
        print $print:expr
    ) => {
        $(#[$meta])*
        #[allow(unsafe_code, reason = "an event behind an untyped pointer")]
        #[allow(clippy::wildcard_imports, reason = "the types of arguments are named as outside")]
        pub(crate) mod $name {
            #[allow(unused_imports, reason = "some classes have none of them")]
            use super::*;
            $crate::tracepoint::define_class! {
                ($($arg: $ty),*) { $($field: $fty = $value),* } print $print
            }
        }
    };
}

/// An event with the body of a class.
macro_rules! event {
    (
        $(#[$meta:meta])*
        $system:ident : $name:ident ( $($arg:ident : $ty:ty),* $(,)? ) as $class:ident
    ) => {
        $(#[$meta])*
        #[allow(unsafe_code, reason = "functions of one type behind untyped pointers")]
        #[allow(dead_code, reason = "what a tracepoint can do, used or not")]
        #[allow(clippy::wildcard_imports, reason = "the types of arguments are named as outside")]
        pub(crate) mod $name {
            #[allow(unused_imports, reason = "some events have none of them")]
            use super::*;
            $crate::tracepoint::define_event! { $system $name ($($arg: $ty),*) super::$class }
        }
    };
}

/// A tracepoint without an event: for listeners in the kernel.
macro_rules! tracepoint {
    (
        $(#[$meta:meta])*
        $system:ident : $name:ident ( $($arg:ident : $ty:ty),* $(,)? )
    ) => {
        $(#[$meta])*
        #[allow(unsafe_code, reason = "functions of one type behind untyped pointers")]
        #[allow(dead_code, reason = "what a tracepoint can do, used or not")]
        #[allow(clippy::wildcard_imports, reason = "the types of arguments are named as outside")]
        pub(crate) mod $name {
            #[allow(unused_imports, reason = "some have no type from there")]
            use super::*;
            $crate::tracepoint::define_point! { $system $name ($($arg: $ty),*) None }
        }
    };
}

/// The items of an event, whose class is the module named last. For the macros above.
macro_rules! define_event {
    ($system:ident $name:ident ($($arg:ident : $ty:ty),*) $($class:ident)::+) => {
        static EVENT: $crate::tracepoint::Event = $crate::tracepoint::Event::new(&$($class)::+::CLASS, &RECORDER);
        static RECORDER: $crate::tracepoint::Target = {
            let record: Function = $($class)::+::record;
            // SAFETY: the class's function takes the same arguments and an event.
            unsafe { $crate::tracepoint::Target::new(record as *const (), (&raw const EVENT).cast()) }
        };
        $crate::tracepoint::define_point! { $system $name ($($arg: $ty),*) Some(&EVENT) }
    };
}

/// The items of a tracepoint. For the macros above.
macro_rules! define_point {
    ($system:ident $name:ident ($($arg:ident : $ty:ty),*) $event:expr) => {
        pub(crate) type Function = fn($($ty,)* *const ());

        /// On while somebody listens.
        pub(crate) static KEY: $crate::jump_label::StaticKey =
            $crate::jump_label::StaticKey::new(concat!("tracepoint:", stringify!($name)), false);

        static NONE: $crate::tracepoint::Target = {
            // SAFETY: a function of the type.
            unsafe { $crate::tracepoint::Target::new(none as Function as *const (), core::ptr::null()) }
        };
        static WALK: $crate::tracepoint::Target = {
            // SAFETY: a function of the type.
            unsafe { $crate::tracepoint::Target::new(walk as Function as *const (), core::ptr::null()) }
        };

        /// Who listens.
        pub(crate) static POINT: $crate::tracepoint::Tracepoint = {
            let name = (stringify!($system), stringify!($name));
            // SAFETY: functions of the type.
            unsafe { $crate::tracepoint::Tracepoint::new(name, &KEY, &NONE, &WALK, raw as Function as *const (), $event) }
        };

        #[used]
        #[unsafe(link_section = ".tracepoints")]
        static LISTED: &$crate::tracepoint::Tracepoint = &POINT;

        /// Whom a call goes to, and what they get last. By `trace!`.
        #[inline(always)]
        pub(crate) fn target() -> (Function, *const ()) {
            let target = POINT.target();
            // SAFETY: only functions of this type are among the tracepoint's targets.
            (unsafe { core::mem::transmute::<*const (), Function>(target.function) }, target.data)
        }

        #[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
        fn none($($arg: $ty,)* _: *const ()) {
            let _ = ($($arg,)*);
        }

        #[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
        fn walk($($arg: $ty,)* _: *const ()) {
            let pin = $crate::sync::PreemptGuard::new();
            let Some(_walk) = POINT.enter(&pin) else { return };
            for probe in POINT.probes(&pin) {
                let target = probe.target();
                // SAFETY: as above; the pin keeps the list and what its probes own.
                let function = unsafe { core::mem::transmute::<*const (), Function>(target.function) };
                function($($arg,)* target.data);
            }
        }

        // Two of the same code would be made one, and the debug information of one be lost: who asks for the names and
        // types of a tracepoint's arguments looks here. A comment for the assembler makes each its own.
        #[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
        fn raw($($arg: $ty,)* data: *const ()) {
            // SAFETY: no instruction.
            unsafe {
                core::arch::asm!(
                    concat!("// ", stringify!($system), ":", stringify!($name)),
                    options(nomem, nostack, preserves_flags)
                );
            }
            // SAFETY: `raw::attach` makes the targets with this function, and their data is a listener.
            let listener = unsafe { &*data.cast::<$crate::tracepoint::raw::Listener>() };
            listener.hear(&[$($crate::tracepoint::raw::Word::word($arg)),*]);
        }

        #[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
        fn probe<P: Fn($($ty),*) + Send + Sync + 'static>($($arg: $ty,)* data: *const ()) {
            // SAFETY: `register` makes the targets with this function, and their data is such a probe.
            let probe = unsafe { &*data.cast::<P>() };
            probe($($arg),*);
        }

        /// A probe that lives for ever: called directly while it is the only one.
        pub(crate) struct Direct($crate::tracepoint::Target);

        impl Direct {
            /// Such a probe: a function, and what it gets behind the arguments.
            pub(crate) const fn new<T: Sync>(function: fn($($ty,)* &'static T), data: &'static T) -> Self {
                let data = core::ptr::from_ref(data).cast();
                // SAFETY: a function of the type, but for the data, of which it gets what it asks for.
                Self(unsafe { $crate::tracepoint::Target::new(function as *const (), data) })
            }
        }

        /// Calls `probe` whenever the tracepoint is passed: not pinned, if it is the only one, and perhaps once more
        /// after the registration was dropped.
        ///
        /// # Errors
        /// As [`register`].
        pub(crate) fn attach(
            probe: &'static Direct,
            priority: i32,
        ) -> Result<$crate::tracepoint::Registration, tracecore::errno::Errno> {
            // SAFETY: made for this tracepoint.
            unsafe { POINT.attach(&probe.0, priority) }
        }

        /// Calls `probe` whenever the tracepoint is passed, pinned, those with higher priority first. The registration
        /// ends it.
        ///
        /// # Errors
        /// EEXIST when it is registered already; ENOMEM; those of the key's flip.
        pub(crate) fn register<P: Fn($($ty),*) + Send + Sync + 'static>(
            listener: alloc::sync::Arc<P>,
            priority: i32,
        ) -> Result<$crate::tracepoint::Registration, tracecore::errno::Errno> {
            let function = probe::<P> as Function as *const ();
            // SAFETY: the function for this type.
            unsafe { $crate::tracepoint::own(&POINT, function, listener, priority) }
        }
    };
}

/// The items of a class. For the macros above.
macro_rules! define_class {
    (
        ($($arg:ident : $ty:ty),*) { $($field:ident : $fty:ty = $value:expr),* } print $print:expr
    ) => {
        /// The types of the fields, by their names.
        #[allow(non_camel_case_types, reason = "named as the fields are")]
        mod fields {
            #[allow(unused_imports, reason = "some records have no field")]
            use $crate::tracepoint::c::*;
            $(pub(super) type $field = $fty;)*
        }

        /// The record, as a C compiler lays it out.
        #[repr(C)]
        #[allow(dead_code, reason = "asked for its offsets only")]
        struct Layout {
            common: u64,
            $($field: <fields::$field as $crate::tracepoint::c::CType>::Repr,)*
        }

        const WORDS: usize = size_of::<Layout>().div_ceil(8);
        const TAILS: usize = 0 $(+ <fields::$field as $crate::tracepoint::c::CType>::TAILS)*;

        /// What its records look like.
        pub(crate) static CLASS: $crate::tracepoint::EventClass = $crate::tracepoint::EventClass {
            fields: &[$(
                $crate::tracepoint::FieldSpec::of::<fields::$field>(
                    stringify!($field),
                    core::mem::offset_of!(Layout, $field),
                )
            ),*],
            print: $print,
        };

        /// The probe that records it.
        #[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
        pub(crate) fn record($($arg: $ty,)* data: *const ()) {
            // SAFETY: the targets with this function have an event as their data.
            let event = unsafe { &*data.cast::<$crate::tracepoint::Event>() };
            let mut record = $crate::tracepoint::Record::<WORDS, TAILS>::new();
            $(
                <fields::$field as $crate::tracepoint::c::CType>::put(
                    &mut record,
                    core::mem::offset_of!(Layout, $field),
                    $value,
                );
            )*
            record.write(event);
        }
    };
}

pub(crate) use {
    define_class, define_event, define_point, event, event_class, trace, trace_enabled, trace_event,
    tracepoint,
};
