package policy

// others are the rest of the table; cas_table.go says where it is from.
func others() []CA {
	return []CA{
		{
			Name: "IdenTrust", CAA: []string{"identrust.com"},
			Report:        "https://www.identrust.com/report-certificate-security-compromise-issues",
			Organizations: []string{"IdenTrust"},
			keys: []string{
				"B+hU8mp8vTiZJ6oEG/7xts0h3RQ4GK2UfcZVqeWH/og=", // IdenTrust Commercial Root CA 1
				"WN1h/rNup9JYckNxcJFJyxITN4ZMrLLQmZrSBznQZHc=", // IdenTrust Public Sector Root CA 1
			},
		},
		{
			Name: "Actalis", CAA: []string{"actalis.it"},
			Organizations: []string{"Actalis S.p.A./03358520967", "Actalis S.p.A."},
			keys: []string{
				"JdSRPPWHCXQU0p0m9sGxlCzW1k6vRdD8+BUmrbqW0yQ=", // Actalis Authentication Root CA
			},
		},
		{
			Name: "Buypass", CAA: []string{"buypass.com", "buypass.no"},
			Report:        "https://www.buypass.com/ssl/support/ssl-problem-reporting",
			Organizations: []string{"Buypass AS-983163327"},
			keys: []string{
				"WVWuKRV0qTE0LPdFDhZlLt4eD7MJfhVx36wRyRVgFWQ=", // Buypass Class 2 Root CA
				"sD2HsFbQjMnU5nXvGcqDq1NTIWioJYWYvnLm2Fx918E=", // Buypass Class 3 Root CA
			},
		},
		{
			Name: "Certainly", CAA: []string{"certainly.com"},
			Organizations: []string{"Certainly"},
			keys: []string{
				"HvZGJdqi5dQz10Sa4xogDRAl4AEqj+z6cJMvi1mbdd0=", // Certainly Root E1
				"P5Pz/PedIl0hPu9qSj9Yhc+E/j16ejwRVTUXaIwOIQA=", // Certainly Root R1
			},
		},
		{
			Name: "HARICA", CAA: []string{"harica.gr"},
			Organizations: []string{"Hellenic Academic and Research Institutions CA", "Hellenic Academic and Research Institutions Cert. Authority"},
			keys: []string{
				"/HhDAOyN9NPRutdjg1GCkY1Sqf8COL32laHNm9uYMhw=", // HARICA TLS ECC Root CA 2021
				"aTyaprJFs7AmFjd1CGPq22wkihblLW9LyQyGu/MtcEI=", // HARICA TLS RSA Root CA 2021
				"u1IIbQY56NszJ3Wsj06ENdks6wD04k8o/A6r4kB3LoA=", // Hellenic Academic and Research Institutions ECC RootCA 2015
				"UMyGupbbMmPHmkPq0HVT2fVmWeaQfnLYwCZjehzchdw=", // Hellenic Academic and Research Institutions RootCA 2015
			},
		},
		{
			Name: "D-Trust", CAA: []string{"d-trust.net", "dtrust.de", "d-trust.de", "dtrust.net"},
			Organizations: []string{"D-Trust GmbH"},
			keys: []string{
				"YD928oyf66g+x1HttmyNdSPqQP5J/nRCdin1Dau89Vo=", // D-TRUST BR Root CA 1 2020
				"rHb2OkbnYbWswyWXBckgy38FY9JI2NGA+TSvaAmaFfk=", // D-TRUST BR Root CA 2 2023
				"nTfkqYnqs4gtEWBS/ItYRGcCy1k3JuRgTDeVlAxxA+I=", // D-TRUST EV Root CA 1 2020
				"51PN2fE0E8fKnNqCli+MDOXtE9FlcxKVSvUmfrLLfHk=", // D-TRUST EV Root CA 2 2023
				"7KDxgUAs56hlKzG00DbfJH46MLf0GlDZHsT5CwBrQ6E=", // D-TRUST Root Class 3 CA 2 2009
				"/zQvtsTIvTCkcG9zSJU58Z5uSMwF9GJUZU9mENvFQOk=", // D-TRUST Root Class 3 CA 2 EV 2009
			},
		},
		{
			Name: "Telekom Security", CAA: []string{"telesec.de", "pki.dfn.de", "dfn.de"},
			Organizations: []string{"Deutsche Telekom Security GmbH", "T-Systems Enterprise Services GmbH"},
			keys: []string{
				"YQbA46CimYMYdRJ719PMGFmAPVEcrBHrbghA3RZvwQ4=", // T-TeleSec GlobalRoot Class 2
				"jXZ3ZLPL2giSnQcqIqVh9NzdG8V9PL3clIxH0rR/kSI=", // T-TeleSec GlobalRoot Class 3
				"6rDeWkZBkBCwGy1VVT/BEaqCtD2Tle3+rqqMduatGZU=", // Telekom Security TLS ECC Root 2020
				"DgXpuyOGnraJ3FaDnc7EdaOudfprULxaSXg2DL5nMyM=", // Telekom Security TLS RSA Root 2023
			},
		},
		{
			Name: "SwissSign", CAA: []string{"swisssign.com", "swisssign.net", "swisssign.ch"},
			Organizations: []string{"SwissSign AG"},
			keys: []string{
				"QPz8KIddzL/ry99s10MzEtpjxO/PO9extQXCICCuAnQ=", // SwissSign Gold CA - G2
				"68l4rg3Z5YItaxllJZb2IMk9fK76lSGRywUKYyypAF8=", // SwissSign RSA TLS Root CA 2022 - 1
				"kxgib4yDr+R/X0fCT1nOEtuoxzsYG+5rLqH0Cga8GGk=", // SwissSign Silver CA - G2
			},
		},
		{
			Name: "Telia", CAA: []string{"telia.com", "telia.fi", "telia.se"},
			Organizations: []string{"Telia Company AB", "Telia Finland Oyj", "TeliaSonera"},
			keys: []string{
				"TIIdfYmt8IwelRySuEG0o8GCYbnOQm8zfMDjgFSZug4=", // Telia EC TLS Root CA v3
				"U2z9ropiV78UJmxDKFlY0Pm5N+MGjiohU3QXATOp/8w=", // Telia RSA TLS Root CA v3
				"wrPDGkophQqo889HKhFp/3G0FlefakSC7HdEuD35iKw=", // Telia Root CA v2
				"ELo0hcqLtogKuVMaQGPkABVVVhx/LgVRZfSbLXT8X2s=", // TeliaSonera Root CA v1
			},
		},
		{
			Name: "TrustAsia", CAA: []string{"trustasia.com"},
			Organizations: []string{"TrustAsia Technologies, Inc."},
			keys: []string{
				"hoWthQ9/Vs0WlDvLcLQ05zVuG4vcYTQG4uqN5GCStjY=", // TrustAsia Global Root CA G3
				"B6KQTUv/lgTqEzGumQ6f/jMSMuaey4oIzUnY40dX20E=", // TrustAsia Global Root CA G4
				"9GMuWHAcC9fa/H44MTVexDP8E3d94oZoPo7FCWTfBFI=", // TrustAsia TLS ECC Root CA
				"ViiHLiRf5mFIuAut6snED2JS5kL6lZWuzks+ili4/UY=", // TrustAsia TLS RSA Root CA
			},
		},
		{
			Name: "TWCA", CAA: []string{"twca.com.tw"},
			Organizations: []string{"TAIWAN-CA"},
			keys: []string{
				"BmALlMAxi7aWfwx3h8yKEDKhecTpXjxXYLMuKQ9/7Js=", // TWCA CYBER Root CA
				"xES1tmzl1x4bXkDyc4XJXL/SSgW1b3DKwJkvD1DDN5w=", // TWCA Global Root CA
				"ksRoeWJu8swezqUMcvteOFhECV8hy/Oyg8uC5rn8alg=", // TWCA Root Certification Authority
			},
		},
		{
			Name: "Chunghwa Telecom", CAA: []string{"pki.hinet.net", "tls.hinet.net", "eca.hinet.net", "epki.com.tw", "publicca.hinet.net"},
			Report:        "report_abuse@cht.com.tw",
			Organizations: []string{"Chunghwa Telecom Co., Ltd."},
			keys: []string{
				"ecqvU0fm5KlMjniphJb8dAIPgJ7eE/Ig+rYQTI3tMp8=", // HiPKI Root CA - G1
				"YlVMFwBVQ7I3IV8EJo3NL9HEcCQK08hmDiWuLFljD1U=", // ePKI Root Certification Authority
			},
		},
		{
			Name: "Cybertrust Japan", CAA: []string{"cybertrust.ne.jp", "jcsinc.co.jp"},
			Organizations: []string{"Cybertrust Japan Co., Ltd.", "Japan Certification Services, Inc."},
			keys: []string{
				"WBzBWCEWlpTDnCmRtT6Tq5RaQrB2Zhd0wuzzijMjrOo=", // SecureSign Root CA14
				"8AEfkvz5vjbHpbNue8hiqyDpTvNv6opWHbCo13UMH1E=", // SecureSign Root CA15
				"u0Eo7JYg8tKknOjixOJXrrrZOg8RxWtfpLAOI3Wfo50=", // SecureSign RootCA11
			},
		},
		{
			Name: "SECOM", CAA: []string{"secomtrust.net"},
			Organizations: []string{"SECOM Trust Systems CO.,LTD.", "SECOM Trust Systems Co., Ltd.", "SECOM Trust.net"},
			keys: []string{
				"KUZ54Pl//UdPGVZ7NjgjlOG0lg4DCXXmY1NFIDSjxeo=", // SECOM TLS ECC Root CA 2024
				"8OC2++i3TU+C2O2Pi9aj0IPcGds9LO2xBhzLdthI7n0=", // SECOM TLS RSA Root CA 2024
				"Mym/oTtgB6tfw3E/CssolCbi+8mcxcEQqRSxOVcWALY=", // Security Communication ECC RootCA1
				"KkISYFqj6K7LD8GYBs87QLU7lfGjTbvW4+0nIwMkq7M=", // Security Communication RootCA1
				"M4BwmvOwlr48wqQFSBQsClIAKNsJ4st3riIGYWq2y7Q=", // Security Communication RootCA2
				"05gKrdIWOMcNdKS7H4q14Rck5i7UCPn6jT1NkWkAKGs=", // Security Communication RootCA3
			},
		},
		{
			Name: "NAVER Cloud", CAA: []string{"certificate.naver.com"},
			Organizations: []string{"NAVER BUSINESS PLATFORM Corp."},
			keys: []string{
				"eG/6V4YYw7mjERdeUIFvTdoGBcOGnyluvFlDvwn06QQ=", // NAVER Global Root Certification Authority
			},
		},
		{
			Name: "emSign", CAA: []string{"emsign.com"},
			Report:        "problem-reporting@emsign.com",
			Organizations: []string{"eMudhra Technologies Limited", "eMudhra Inc"},
			keys: []string{
				"6rwYXE6C2UKxpZeLo8AYFIfWs7mXTlxJ9y9tC9ljcVA=", // emSign ECC Root CA - C3
				"jUF9st2L9eMITR4/GW1YOEnYG91MAMcLnTk2npa4x4I=", // emSign ECC Root CA - G3
				"t0CLTSvgI4ujcATdNOJ2xgGb0vJMnbfUmA9fbDWaS8w=", // emSign Root CA - C1
				"N2oacIKlk9zMINVh0Rnpq40w8RzDIdCjf6QfDfKE4Bw=", // emSign Root CA - G1
			},
		},
		{
			Name: "Certigna", CAA: []string{"certigna.fr"},
			Organizations: []string{"Dhimyotis"},
			keys: []string{
				"UQ0g5cR/Y89mayD2GvYrwJmkKsgk/6RDotp8kLGAipE=", // Certigna
				"joBG7EysAVpQfODS0BVKS0Do5CsxZc+lRlcUNREtF+U=", // Certigna Root CA
			},
		},
		{
			Name: "certSIGN", CAA: []string{"certsign.ro"},
			Organizations: []string{"CERTSIGN SA", "certSIGN"},
			keys: []string{
				"28HjoVI4oEg7zbj97GFuA+cFpI4qUBFXyt87nHMRxeU=", // certSIGN ROOT CA
				"y617HThISd8JRrfujn9ffOOu2Hb9p7ydMNixbyn/LFM=", // certSIGN ROOT CA G2
			},
		},
		{
			Name: "Microsec", CAA: []string{"e-szigno.hu"},
			Report:        "HighPriorityCertificateProblemReport@e-szigno.hu",
			Organizations: []string{"Microsec Ltd."},
			keys: []string{
				"YWFnIBQzrqbI5eMHCvyvZ0kYj4FL0auxea6NrTq/Juw=", // Microsec e-Szigno Root CA 2009
				"QkMWJ+p2zHhpf5FeNFWxsuyC/y9jgO5kI+88CEC35jE=", // e-Szigno Root CA 2017
				"R0h5AKG+ue4IzLwRFqjsVfRUtjiZQxnwUbmEAjztZCM=", // e-Szigno TLS Root CA 2023
			},
		},
		{
			Name: "GDCA", CAA: []string{"gdca.com.cn"},
			Organizations: []string{"GUANG DONG CERTIFICATE AUTHORITY CO.,LTD."},
			keys: []string{
				"zrGUEcZQUsdX+UHrgmyWlB5NCNCWx9t+fqPE+ME/GhM=", // GDCA TrustAUTH R5 ROOT
			},
		},
		{
			Name: "CFCA", CAA: []string{"cfca.com.cn"},
			Organizations: []string{"China Financial Certification Authority"},
			keys: []string{
				"3V7RwJD59EgGG6qUprsRAXVE6e76ogzHFM5sYz9dxik=", // CFCA EV ROOT
			},
		},
		{
			Name: "OISTE", CAA: []string{"wisekey.com", "oiste.org", "hightrusted.com", "certifyid.com"},
			Organizations: []string{"OISTE Foundation", "WISeKey"},
			keys: []string{
				"1DndgPHjvFyeXxPov/eoiH353Bw+Gddq9wyPjZhe7yI=", // OISTE Server Root ECC G1
				"uWThQdOlXK4YDqahqNSil94m8RgzxnNWnRlvtTOphxA=", // OISTE Server Root RSA G1
				"FJ8u5juaXlgDJAp3DcmR/C40ReYoMcJFpJvE8fc4/5w=", // OISTE WISeKey Global Root GB CA
				"/Tcb6pdV/2DIgoyEm45SFd5TLWGwCYVfoK1jDZDu+C4=", // OISTE WISeKey Global Root GC CA
			},
		},
		{
			Name: "Atos", CAA: []string{"atos.net"},
			Organizations: []string{"Atos"},
			keys: []string{
				"5co3vHtsNhl5vGsSPKmh2wGQRtf/X1ffuFSxnRCwaC8=", // Atos TrustedRoot 2011
				"YIljx4xFXm40sHJGis4JVs/xjTRkP58wW3Fi+hgZefw=", // Atos TrustedRoot Root CA ECC TLS 2021
				"98p3phDj1CRHJAaS29V8/RPPBCrNIGLmpiuHue2Bwac=", // Atos TrustedRoot Root CA RSA TLS 2021
			},
		},
		{
			Name: "Hongkong Post", CAA: []string{"ecert.gov.hk", "hongkongpost.gov.hk"},
			Organizations: []string{"Hongkong Post"},
			keys: []string{
				"NsIjFBMaX78bcOpMz0vBOnd9k47GXh2iTjws/QHT0WM=", // Hongkong Post Root CA 1
				"JUHlO6WzsHrL5wl6xKA+BAwRz3ptSmfLIT1Vi1AWegY=", // Hongkong Post Root CA 3
			},
		},
		{
			Name: "SecureTrust", CAA: []string{"trustwave.com", "securetrust.com"},
			Organizations: []string{"SecureTrust Corporation", "Trustwave Holdings, Inc."},
			keys: []string{
				"JZaQTcTWma4gws703OR/KFk313RkrDcHRvUt6na6DCg=", // Secure Global CA
				"dykHF2FLJfEpZOvbOLX4PKrcD2w2sHd/iA/G3uHTOcw=", // SecureTrust CA
				"LgbK4fwgsgDm+3SFV6RES+yTF9//LkFRZp4PeUTwqeA=", // Trustwave Global Certification Authority
				"SXEo/JBla4cpBIKyI++3IkD+nEIeeZON5fgRDLC+kFY=", // Trustwave Global ECC P256 Certification Authority
				"gosO7/JGVOj/WEGindXU4+0wlSykNCWnkoNAcgjTnRY=", // Trustwave Global ECC P384 Certification Authority
			},
		},
		{
			Name: "ACCV", CAA: []string{"accv.es"},
			Organizations: []string{"ACCV"},
			keys: []string{
				"BVcK5usPzrQhDm23lIa3CUyvIAQB4Um2Z3RBtfJeRJs=", // ACCVRAIZ1
			},
		},
		{
			Name: "FNMT", CAA: []string{"fnmt.es"},
			Organizations: []string{"FNMT-RCM"},
			keys: []string{
				"L8VmekuaJnjtasatJUZfy/YJS/zZUECXx6j6R63l6Ig=", // AC RAIZ FNMT-RCM
				"RTt0gJtpAZYn8vhDAB21lQzdHUU3EFPn89/bw3FBE8Y=", // AC RAIZ FNMT-RCM SERVIDORES SEGUROS
			},
		},
		{
			Name: "Izenpe", CAA: []string{"izenpe.com", "izenpe.eus"},
			Organizations: []string{"IZENPE S.A."},
			keys: []string{
				"lSwgOcAkPrUV3XPYP8NkMYSHT+sIYqmDdzHtm0dC4Xo=", // Izenpe.com
			},
		},
		{
			Name: "NETLOCK", CAA: []string{"netlock.hu", "netlock.net", "netlock.eu"},
			Organizations: []string{"NetLock Kft."},
			keys: []string{
				"9Iut199qBmkNCuMTc7EoVfje2xRRfzYqMTEBzJjMazU=", // NetLock Arany (Class Gold) Főtanúsítvány
			},
		},
		{
			Name: "KIR", CAA: []string{"elektronicznypodpis.pl"},
			Organizations: []string{"Krajowa Izba Rozliczeniowa S.A."},
			keys: []string{
				"bjZLYTPe79y7ISc8X0RaIK+8BQONWwIcDCFTA5AWNFs=", // SZAFIR ROOT CA2
			},
		},
		{
			Name: "Disig", CAA: []string{"disig.sk"},
			Organizations: []string{"Disig a.s."},
			keys: []string{
				"cCEWzNi/I+FkZvDg26DtaiOanBzWqPWmazmvNZUCA4U=", // CA Disig Root R2
			},
		},
		{
			Name: "ANF AC", CAA: []string{"anf.es"},
			Organizations: []string{"ANF Autoridad de Certificacion"},
			keys: []string{
				"mlL/ajy241OghWfg3Jw5WzANYKIikquMGMFlaymDrpA=", // ANF Secure Server Root CA
			},
		},
	}
}
