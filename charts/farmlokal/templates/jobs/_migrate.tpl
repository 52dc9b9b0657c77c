{{/* The migration's spec. What it uses of the release comes along as a hook: nothing else is there yet. */}}
{{- define "farmlokal.migrateJob" -}}
# A database that is still starting is tried again, with pauses of 10 s, 20 s, 40 s and so on.
backoffLimit: {{ .Values.migrate.backoffLimit }}
{{- if not (kindIs "invalid" .Values.migrate.activeDeadlineSeconds) }}
activeDeadlineSeconds: {{ int64 .Values.migrate.activeDeadlineSeconds }}
{{- end }}
ttlSecondsAfterFinished: 86400
{{ include "farmlokal.podFailurePolicy" . }}
template:
  metadata:
    {{- include "farmlokal.podMetadata" (list . "migrate") | nindent 4 }}
  spec:
    {{- if not .Values.api.serviceAccount.create }}
    serviceAccountName: {{ include "farmlokal.serviceAccountName" (list . "api") }}
    {{- end }}
    # An account of the release is not there yet; without a token it does not matter which one it is.
    automountServiceAccountToken: false
    restartPolicy: Never
    {{- include "farmlokal.pod" (list . "migrate") | nindent 4 }}
    containers:
      - name: migrate
        {{- include "farmlokal.container" (list . "migrate" "api") | nindent 8 }}
        args: [migrate]
        {{- with .Values.migrate.envFrom }}
        envFrom:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        env:
          {{- $secret := printf "%s-migrate" (include "farmlokal.fullname" .) }}
          {{- $env := include "farmlokal.databaseEnv" (list . $secret .Values.migrate.database) }}
          {{- include "farmlokal.merged" (list "name" $env .Values.migrate.extraEnv) | nindent 10 }}
        resources:
          {{- toYaml .Values.migrate.resources | nindent 10 }}
        {{- with include "farmlokal.merged" (list "mountPath" (include "farmlokal.tlsMounts" (list . "database")) .Values.migrate.extraVolumeMounts) }}
        volumeMounts:
          {{- . | nindent 10 }}
        {{- end }}
    {{- with include "farmlokal.merged" (list "name" (include "farmlokal.tlsVolumes" (list . "database")) .Values.migrate.extraVolumes) }}
    volumes:
      {{- . | nindent 6 }}
    {{- end }}
{{- end -}}
