"""The exporter as a process against a cloud behind the fault proxy: nothing invented, nothing lost, and up again by itself."""
