{{/* The API's settings that are no secrets: api.config, and what the chart itself knows. */}}
{{- define "farmlokal.apiConfig" -}}
{{- $shutdown := sub (int .Values.api.terminationGracePeriodSeconds) (add (int .Values.api.shutdownDelaySeconds) 5) -}}
{{- if lt $shutdown 1 -}}
{{- fail (printf "api.terminationGracePeriodSeconds is %d: it must be at least 6 s above api.shutdownDelaySeconds, which is %d" (int .Values.api.terminationGracePeriodSeconds) (int .Values.api.shutdownDelaySeconds)) -}}
{{- end -}}
{{- /* A cache that fills up must not end the pod. Limits in other units than these are not looked at. */ -}}
{{- $limit := toString ((.Values.api.resources).limits).memory -}}
{{- with .Values.api.config -}}
{{- if and .LOCAL_CACHE_MIB (ne (toString .LOCAL_CACHE) "false") (regexMatch "^[0-9]+[MG]i$" $limit) -}}
{{- $mib := mul (regexFind "^[0-9]+" $limit) (ternary 1024 1 (hasSuffix "Gi" $limit)) -}}
{{- if gt (add (int64 .LOCAL_CACHE_MIB) 128) $mib -}}
{{- fail (printf "api.config.LOCAL_CACHE_MIB is %d: api.resources.limits.memory must be at least 128 MiB above it, and is %s" (int64 .LOCAL_CACHE_MIB) $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $config := dict
  "PORT" "5000"
  "MANAGEMENT_PORT" "9090"
  "SHUTDOWN_DELAY" (printf "%ds" (int .Values.api.shutdownDelaySeconds))
  "SHUTDOWN_TIMEOUT" (printf "%ds" $shutdown)
-}}
{{- with .Values.ingress -}}
{{- if .enabled -}}
{{- with .trustedProxies -}}
{{- $_ := set $config "TRUSTED_PROXIES" (join "," .) -}}
{{- end -}}
{{- $_ := set $config "TRUSTED_HOPS" (toString .trustedHops) -}}
{{- end -}}
{{- end -}}
{{- $partners := include "farmlokal.partners" . | fromYaml -}}
{{- range $variable, $key := dict
  "OAUTH_TOKEN_URL" "tokenUrl"
  "OAUTH_CLIENT_ID" "clientId"
  "OAUTH_AUDIENCE" "audience"
  "OAUTH_SCOPE" "scope"
  "OAUTH_CLIENT_AUTH" "clientAuth"
  "API_A_URL" "apiAUrl"
  "API_B_URL" "apiBUrl"
  "WEBHOOK_CALLBACK_URL" "callbackUrl"
-}}
{{- with get $partners $key -}}
{{- $_ := set $config $variable . -}}
{{- end -}}
{{- end -}}
{{- range $variable, $value := .Values.api.config -}}
{{- /* A number of YAML is a float here: 1000000 must not become 1e+06. */ -}}
{{- $text := ternary (toString (int64 $value)) (toString $value) (and (kindIs "float64" $value) (eq (float64 (int64 $value)) (float64 $value))) -}}
{{- $_ := set $config $variable $text -}}
{{- end -}}
{{- range $variable, $value := $config }}
{{ $variable }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* What the chart's own Secret holds: only what values give in the clear. */}}
{{- define "farmlokal.secrets" -}}
{{- if and .Values.database.password (not .Values.database.existingSecret) }}
DB_PASS: {{ .Values.database.password | b64enc }}
{{- end }}
{{- if not .Values.redis.existingSecret }}
REDIS_URL: {{ include "farmlokal.redisUrl" . | b64enc }}
{{- end }}
{{- $partners := include "farmlokal.partners" . | fromYaml }}
{{- with $partners.clientSecret }}
OAUTH_CLIENT_SECRET: {{ . | b64enc }}
{{- end }}
{{- with $partners.webhookSecrets }}
WEBHOOK_SECRETS: {{ . | b64enc }}
{{- end }}
{{- end -}}

{{- define "farmlokal.redisUrl" -}}
{{- $host := .Values.redis.host -}}
{{- $host = ternary (printf "[%s]" $host) $host (contains ":" $host) -}}
{{- $user := "" -}}
{{- with .Values.redis.password -}}
{{- $user = printf ":%s@" (. | urlquery | replace "+" "%20") -}}
{{- end -}}
{{- printf "%s://%s%s:%d" (ternary "rediss" "redis" .Values.redis.tls) $user $host (int .Values.redis.port) -}}
{{- end -}}
