//! The events of tasks and of the scheduler.

use super::{ANY_CPU, COMM_LEN, State, Task};
use crate::tracepoint::{event, event_class, trace_event};

impl State {
    /// The state of a task that leaves its CPU: Linux's bits. One that was preempted is on its way back.
    fn reported(self, preempted: bool) -> i64 {
        const PREEMPTED: i64 = 0x100;
        match self {
            _ if preempted => PREEMPTED,
            Self::Running => 0,
            Self::Sleeping => 0x1,
            Self::Blocked => 0x2,
            Self::Dead => 0x10,
            Self::Idle => 0x80,
        }
    }
}

trace_event! {
    /// This CPU goes from one task to another. Fired with the run queue's lock held.
    sched:sched_switch(preempted: bool, prev: &Task, next: &Task) {
        prev_comm: task_comm = prev.comm_words(),
        prev_pid: pid_t = prev.pid() as i32,
        prev_prio: int = i32::from(prev.prio().number()),
        prev_state: long = prev.state().reported(preempted),
        next_comm: task_comm = next.comm_words(),
        next_pid: pid_t = next.pid() as i32,
        next_prio: int = i32::from(next.prio().number()),
    }
    print r#""prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s next_pid=%d next_prio=%d", REC->prev_comm, REC->prev_pid, REC->prev_prio, (REC->prev_state & ((((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) - 1)) ? __print_flags(REC->prev_state & ((((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) - 1), "|", { 0x00000001, "S" }, { 0x00000002, "D" }, { 0x00000004, "T" }, { 0x00000008, "t" }, { 0x00000010, "X" }, { 0x00000020, "Z" }, { 0x00000040, "P" }, { 0x00000080, "I" }) : "R", REC->prev_state & (((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) ? "+" : "", REC->next_comm, REC->next_pid, REC->next_prio"#
}

event_class! {
    /// A task begins to run again, or is about to.
    sched_wakeup_template(task: &Task) {
        comm: task_comm = task.comm_words(),
        pid: pid_t = task.pid() as i32,
        prio: int = i32::from(task.prio().number()),
        target_cpu: int = task.cpu() as i32,
    }
    print r#""comm=%s pid=%d prio=%d target_cpu=%03d", REC->comm, REC->pid, REC->prio, REC->target_cpu"#
}

event! {
    /// Somebody wakes a task; in the waker.
    sched:sched_waking(task: &Task) as sched_wakeup_template
}

event! {
    /// A task that was woken is on a queue.
    sched:sched_wakeup(task: &Task) as sched_wakeup_template
}

event! {
    /// A new task is on a queue for the first time.
    sched:sched_wakeup_new(task: &Task) as sched_wakeup_template
}

trace_event! {
    /// A task goes to another CPU.
    sched:sched_migrate_task(task: &Task, to: usize) {
        comm: task_name = task.comm(),
        pid: pid_t = task.pid() as i32,
        prio: int = i32::from(task.prio().number()),
        orig_cpu: int = task.cpu() as i32,
        dest_cpu: int = to as i32,
    }
    print r#""comm=%s pid=%d prio=%d orig_cpu=%d dest_cpu=%d", __get_str(comm), REC->pid, REC->prio, REC->orig_cpu, REC->dest_cpu"#
}

trace_event! {
    /// A task made another one.
    sched:sched_process_fork(parent: &Task, child: &Task) {
        parent_comm: task_name = parent.comm(),
        parent_pid: pid_t = parent.pid() as i32,
        child_comm: task_name = child.comm(),
        child_pid: pid_t = child.pid() as i32,
    }
    print r#""comm=%s pid=%d child_comm=%s child_pid=%d", __get_str(parent_comm), REC->parent_pid, __get_str(child_comm), REC->child_pid"#
}

trace_event! {
    /// A task ends. Each is a group of its own.
    sched:sched_process_exit(task: &Task) {
        comm: task_comm = task.comm_words(),
        pid: pid_t = task.pid() as i32,
        prio: int = i32::from(task.prio().number()),
        group_dead: bool_ = true,
    }
    print r#""comm=%s pid=%d prio=%d group_dead=%s", REC->comm, REC->pid, REC->prio, REC->group_dead ? "true" : "false""#
}

event_class! {
    /// Something about a task's life.
    sched_process_template(task: &Task) {
        comm: task_name = task.comm(),
        pid: pid_t = task.pid() as i32,
        prio: int = i32::from(task.prio().number()),
    }
    print r#""comm=%s pid=%d prio=%d", __get_str(comm), REC->pid, REC->prio"#
}

event! {
    /// What was left of a task is given back.
    sched:sched_process_free(task: &Task) as sched_process_template
}

trace_event! {
    /// A task is made, before it runs.
    task:task_newtask(task: &Task) {
        pid: pid_t = task.pid() as i32,
        comm: task_comm = task.comm_words(),
        clone_flags: u64_ = 0,
        oom_score_adj: short = 0,
    }
    print r#""pid=%d comm=%s clone_flags=%llx oom_score_adj=%hd", REC->pid, REC->comm, REC->clone_flags, REC->oom_score_adj"#
}

trace_event! {
    /// A task gets another name.
    task:task_rename(task: &Task, comm: &[u64; COMM_LEN / 8]) {
        pid: pid_t = task.pid() as i32,
        oldcomm: task_comm = task.comm_words(),
        newcomm: task_comm = *comm,
        oom_score_adj: short = 0,
    }
    print r#""pid=%d oldcomm=%s newcomm=%s oom_score_adj=%hd", REC->pid, REC->oldcomm, REC->newcomm, REC->oom_score_adj"#
}

event! {
    /// A task waits for the end of another one.
    sched:sched_process_wait(task: &Task) as sched_process_template
}

trace_event! {
    /// A CPU goes to sleep, or wakes: then the state is -1.
    power:cpu_idle(state: u32, cpu_id: usize) {
        state: u32_ = state,
        cpu_id: u32_ = cpu_id as u32,
    }
    print r#""state=%lu cpu_id=%lu", (unsigned long)REC->state, (unsigned long)REC->cpu_id"#
}

trace_event! {
    /// A work is put into a queue.
    workqueue:workqueue_queue_work(work: usize, function: usize, workqueue: &str, cpu: usize) {
        work: ptr = work,
        function: ptr = function,
        workqueue: string = workqueue,
        req_cpu: int = ANY_CPU as i32,
        cpu: int = cpu as i32,
    }
    print r#""work struct=%p function=%ps workqueue=%s req_cpu=%d cpu=%d", REC->work, REC->function, __get_str(workqueue), REC->req_cpu, REC->cpu"#
}

trace_event! {
    /// A work is at the head of its queue.
    workqueue:workqueue_activate_work(work: usize, function: usize) {
        work: ptr = work,
        function: ptr = function,
    }
    print r#""work struct %p function=%ps ", REC->work, REC->function"#
}

event_class! {
    /// A work runs.
    workqueue_execute(work: usize, function: usize) {
        work: ptr = work,
        function: ptr = function,
    }
    print r#""work struct %p: function %ps", REC->work, REC->function"#
}

event! {
    /// A work begins.
    workqueue:workqueue_execute_start(work: usize, function: usize) as workqueue_execute
}

event! {
    /// A work has ended. What it was in is free.
    workqueue:workqueue_execute_end(work: usize, function: usize) as workqueue_execute
}
