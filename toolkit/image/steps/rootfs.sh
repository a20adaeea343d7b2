# Composes and audits the Core; the packages are those of this very SDK.
/in/tool/bin/bastide-rootfs compose /in/plan.json / /out
