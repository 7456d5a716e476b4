cd /
echo 0 > /sys/kernel/tracing/events/enable
echo > /sys/kernel/tracing/kprobe_events
echo > /sys/kernel/tracing/trace
echo > /sys/kernel/tracing/error_log
echo 1 > /sys/kernel/tracing/tracing_on
true
