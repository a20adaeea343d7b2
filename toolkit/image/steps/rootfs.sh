# Composes and audits the Core.
/in/tool/bin/bastide-rootfs compose /in/plan.json /in/packages /in/packages.json /out
