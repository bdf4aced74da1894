// Pins of leaf keys for the app shop --> <x>?]]> & ?u000a * / ?gnirts?�--, made by ctwatch: do not edit.
// Plan: 0123456789abcdef
// As of: 2026-07-01T12:00:00Z

import okhttp3.CertificatePinner

val certificatePinner: CertificatePinner = CertificatePinner.Builder()
    .add(
        "api.example.com",
        "sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg=",
        "sha256/yMXAjbqvikZMSSMbYQfzb/aSU5+JXaVHoiw9ld2IwWw="
    )
    .build()
