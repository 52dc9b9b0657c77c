{{/* Where the database is. Takes (list $ name-of-the-Secret-with-DB_PASS). */}}
{{- define "farmlokal.databaseEnv" -}}
{{- $ := index . 0 -}}
{{- $database := $.Values.database -}}
{{- if and $database.existingSecret $database.urlKey -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $database.existingSecret | quote }}
      key: {{ $database.urlKey | quote }}
{{- else -}}
- name: DB_HOST
  value: {{ $database.host | quote }}
- name: DB_PORT
  value: {{ $database.port | quote }}
- name: DB_NAME
  value: {{ $database.name | quote }}
- name: DB_USER
  value: {{ $database.user | quote }}
{{- if or $database.existingSecret $database.password }}
- name: DB_PASS
  valueFrom:
    secretKeyRef:
      {{- if $database.existingSecret }}
      name: {{ $database.existingSecret | quote }}
      key: {{ $database.passwordKey | quote }}
      {{- else }}
      name: {{ index . 1 }}
      key: DB_PASS
      {{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Where Redis is. */}}
{{- define "farmlokal.redisEnv" -}}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      {{- if .Values.redis.existingSecret }}
      name: {{ .Values.redis.existingSecret | quote }}
      key: {{ .Values.redis.urlKey | quote }}
      {{- else }}
      name: {{ include "farmlokal.fullname" . }}
      key: REDIS_URL
      {{- end }}
{{- end -}}

{{/* Who this pod is. */}}
{{- define "farmlokal.podEnv" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end -}}

{{/* Where spans go; needs farmlokal.podEnv before it. */}}
{{- define "farmlokal.traceEnv" -}}
{{- with .Values.traces -}}
{{- if .endpoint -}}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ .protocol | quote }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .ratio | quote }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME)
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Partners: the real ones, or the sandbox. A URL is set or empty; secrets are "" where they come from an existing Secret. */}}
{{- define "farmlokal.partners" -}}
{{- $partners := .Values.partners -}}
{{- if .Values.sandbox.enabled -}}
{{- if or $partners.existingSecret $partners.oauth.tokenUrl $partners.apiA.url $partners.apiB.url $partners.webhook.secrets -}}
{{- fail "sandbox.enabled: the sandbox stands in for the partners, and partners.* are set too. Choose one" -}}
{{- end -}}
{{- $sandbox := printf "http://%s-sandbox:5100" (include "farmlokal.fullname" .) -}}
tokenUrl: {{ $sandbox }}/oauth/token
clientId: farmlokal
clientSecret: sandbox-secret
audience: https://api-a.farmlokal.example
apiAUrl: {{ $sandbox }}/api-a/status
apiBUrl: {{ $sandbox }}/api-b
callbackUrl: http://{{ include "farmlokal.fullname" . }}-api/webhook
webhookSecrets: whsec_ZmFybWxva2FsLXNhbmRib3gtc2lnbmluZy1rZXktMSE=
{{- else -}}
{{- with $partners -}}
{{- if and .apiA.url (not .oauth.tokenUrl) -}}
{{- fail "partners.apiA.url is set and partners.oauth.tokenUrl is not: API A is called with a token" -}}
{{- end -}}
{{- if and .oauth.tokenUrl (not .oauth.clientId) -}}
{{- fail "partners.oauth.tokenUrl needs partners.oauth.clientId" -}}
{{- end -}}
{{- if and .oauth.tokenUrl (not .existingSecret) (not .oauth.clientSecret) -}}
{{- fail "partners.oauth.tokenUrl needs a client secret: partners.existingSecret, or partners.oauth.clientSecret" -}}
{{- end -}}
{{- if ne (empty .apiB.url) (empty .webhook.callbackUrl) -}}
{{- fail "partners.apiB.url and partners.webhook.callbackUrl go together: the callback is registered at API B" -}}
{{- end -}}
tokenUrl: {{ .oauth.tokenUrl | quote }}
clientId: {{ .oauth.clientId | quote }}
clientSecret: {{ ternary "" .oauth.clientSecret (not (empty .existingSecret)) | quote }}
audience: {{ .oauth.audience | quote }}
scope: {{ .oauth.scope | quote }}
clientAuth: {{ .oauth.clientAuth | quote }}
apiAUrl: {{ .apiA.url | quote }}
apiBUrl: {{ .apiB.url | quote }}
callbackUrl: {{ .webhook.callbackUrl | quote }}
webhookSecrets: {{ ternary "" (join "," .webhook.secrets) (not (empty .existingSecret)) | quote }}
{{- end -}}
{{- end -}}
{{- end -}}
