# Writes the bill of materials; packages are looked up in this very SDK.
/in/tool/bin/bastide-rootfs sbom /in/request.json / /out
