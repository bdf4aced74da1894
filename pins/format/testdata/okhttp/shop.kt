// Pins of leaf keys for the app shop "live" * / $app, made by ctwatch: do not edit.
// Plan: 5f1c0a
// As of: 2026-07-01T12:00:00Z
// Until: 2026-09-01T12:00:00Z, when the first certificate that is served now ends; look at the plan again before.

import okhttp3.CertificatePinner

val certificatePinner: CertificatePinner = CertificatePinner.Builder()
    .add(
        "api.example.com",
        "sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg=",
        "sha256/yMXAjbqvikZMSSMbYQfzb/aSU5+JXaVHoiw9ld2IwWw="
    )
    .add(
        "*.example.org",
        "sha256/yMXAjbqvikZMSSMbYQfzb/aSU5+JXaVHoiw9ld2IwWw=",
        "sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg="
    )
    .build()
